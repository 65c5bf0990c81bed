"""How a verb reaches the broker of a local stack that `liveshelf up --secure` made: the file that it left says it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from operators.configuration.kafka_security import FILES
from operators.configuration.settings_file import read_settings_file
from operators.errors import SettingsError

FILE_NAME = "secure.toml"
DEFAULTS = {"stack": {"data_dir": ".liveshelf"}, "kafka": {"bootstrap": "127.0.0.1:9092"}}


def access(root: Path, sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What that file adds to the settings, below the flags and the environment: nothing where there is none, where
    kafka.bootstrap is another broker, and where another source sets kafka.security.protocol.

    `root`: the project folder. `sources`: the raw settings, first wins.
    """
    known = (*sources, DEFAULTS)
    file = root / str(_value(known, "stack", "data_dir")) / FILE_NAME
    if not file.is_file():
        return {}
    left = read_settings_file(file)
    protocol = _value(sources, "kafka", "security", "protocol")
    if str(_value(known, "kafka", "bootstrap")) not in left["brokers"] or protocol not in (None, "PLAINTEXT"):
        return {}
    security = _absolute(left["security"], file.parent) | {"job": _absolute(left["security"]["job"], file.parent)}
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
        found: Any = source
        for part in path:
            found = found.get(part) if isinstance(found, Mapping) else None
        if found is not None:
            return found
    return None
