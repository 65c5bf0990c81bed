"""`LIVESHELF_` variables of the environment: which are settings, and which are not ours at all."""

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


def refuse_unknown_variables(environment: Mapping[str, str], known: Mapping[str, list[str]]) -> None:
    """Raises `SettingsError` for a variable that is neither ours nor of a Service of Kubernetes; names the nearest one.

    `known`: section -> its keys.
    """
    sections = {PREFIX + section.upper() for section in known}
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name == FILE or name.split("__")[0] in sections:
            continue
        if not is_of_service(name, value):
            ours = [FILE, *(f"{PREFIX}{section}__{key}".upper() for section, keys in known.items() for key in keys)]
            raise SettingsError(
                "a LIVESHELF_SECTION__NAME variable of a known section",
                name,
                f"unset {name}, or correct it{nearest(name, ours)}; sections: {', '.join(known)}",
            )


def is_of_service(name: str, value: str) -> bool:
    """Whether Kubernetes made this variable (`enableServiceLinks`). LIVESHELF_PORT=8000 was meant for us."""
    if _SERVICE.fullmatch(name):
        return True
    found = _PORT.fullmatch(name)
    return found is not None and bool(found[4] or _URL.match(value))


def nearest(name: str, known: list[str]) -> str:
    """` (did you mean …?)`, or nothing where no known name is near."""
    near = nearest_name.nearest(name, known)
    return f" (did you mean {near}?)" if near else ""
