"""Access to the broker of a local stack: `liveshelf up --secure` writes it to a file, and every verb reads that file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from operators.configuration.kafka_security import FILES
from operators.configuration.settings_file import read_settings_file
from operators.errors import SettingsError

FILE_NAME = "secure.toml"
DEFAULTS = {"stack": {"data_dir": ".liveshelf"}, "kafka": {"bootstrap": "127.0.0.1:9092"}}


def access(root: Path, sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The settings in that file; flags and environment override them. Empty if the file does not exist, if
    kafka.bootstrap names another broker, or if another source sets kafka.security.protocol.

    `root`: the project folder. `sources`: the raw settings, first wins.
    """
    with_defaults = (*sources, DEFAULTS)
    file = root / str(_value(with_defaults, "stack", "data_dir")) / FILE_NAME
    if not file.is_file():
        return {}
    secured = read_settings_file(file)
    protocol = _value(sources, "kafka", "security", "protocol")
    if str(_value(with_defaults, "kafka", "bootstrap")) not in secured["brokers"] or protocol not in (
        None,
        "PLAINTEXT",
    ):
        return {}
    security = _absolute(secured["security"], file.parent) | {"job": _absolute(secured["security"]["job"], file.parent)}
    if any(_value([source], "kafka", "security", name) for source in sources for name in ("password", "password_file")):
        security.pop("password_file")  # of another user than the one that is named
    return {"kafka": {"security": security}}


def refuse_password(source: Mapping[str, Any], file: str) -> None:
    """Raises `SettingsError` where a file of settings holds a password."""
    for where in ("kafka.security", "kafka.security.job"):
        if _value([source], *where.split("."), "password"):
            raise SettingsError(
                f"no `{where}.password` in {file}: such files are shown and copied",
                "one",
                f"set {where}.password_file, or the variable LIVESHELF_{where.replace('.', '__').upper()}__PASSWORD",
            )


def _absolute(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {name: str(folder / value) if name in FILES else value for name, value in table.items()}


def _value(sources: Sequence[Mapping[str, Any]], *path: str) -> Any:
    for source in sources:
        value: Any = source
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            return value
    return None
