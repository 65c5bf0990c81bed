"""Tells the `LIVESHELF_` variables that are settings from those that Kubernetes sets, and refuses all others."""

import re
from collections.abc import Mapping

from operators.configuration import nearest_name
from operators.errors import SettingsError

PREFIX = "LIVESHELF_"
FILE = f"{PREFIX}FILE"
# what Kubernetes gives each pod of a namespace that has a Service named liveshelf, or liveshelf-…
_SERVICE = re.compile(r"LIVESHELF(_[A-Z0-9]+)*_SERVICE_(HOST|PORT(_[A-Z0-9]+)*)")
_PORT = re.compile(r"LIVESHELF(_[A-Z0-9]+)*?_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?")
_URL = re.compile(r"(tcp|udp|sctp)://")


def refuse_unknown_variables(environment: Mapping[str, str], keys_of: Mapping[str, list[str]]) -> None:
    """Raises `SettingsError` for a variable that is neither a setting nor set by Kubernetes for a Service; names the
    nearest setting.

    `keys_of`: section -> its keys.
    """
    sections = {PREFIX + section.upper() for section in keys_of}
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name == FILE or name.split("__")[0] in sections:
            continue
        if not is_of_service(name, value):
            variables = [
                FILE,
                *(f"{PREFIX}{section}__{key}".upper() for section, keys in keys_of.items() for key in keys),
            ]
            raise SettingsError(
                "a LIVESHELF_SECTION__NAME variable of a known section",
                name,
                f"unset {name}, or correct it{nearest(name, variables)}; sections: {', '.join(keys_of)}",
            )


def is_of_service(name: str, value: str) -> bool:
    """Whether Kubernetes made this variable (`enableServiceLinks`). LIVESHELF_PORT=8000 is no such variable."""
    if _SERVICE.fullmatch(name):
        return True
    match = _PORT.fullmatch(name)
    return match is not None and bool(match[4] or _URL.match(value))


def nearest(name: str, names: list[str]) -> str:
    """` (did you mean …?)`, empty if no known name is near."""
    near = nearest_name.nearest(name, names)
    return f" (did you mean {near}?)" if near else ""
