"""Turns errors of libraries and of the operating system into `LiveshelfError`s, which say what to do next.

It looks a library up in `sys.modules` and never imports it: most verbs load few of them.
"""

import errno
import getpass
import sys
from collections.abc import Callable

from liveshelf.terminal.extras import EXTRA_OF, missing_extra
from operators.errors import BrokerError, ClusterError, EventsFileError, LiveshelfError, StackError

FIXES = {
    errno.ENOENT: "name one that exists",
    errno.EISDIR: "name a file",
    errno.ENOTDIR: "name a path below a folder",
    errno.ENOTEMPTY: "name an empty folder",
    errno.EEXIST: "name another",
    errno.ENOSPC: "free the disk, then do it again",
    errno.EDQUOT: "free some of your quota, then do it again",
    errno.EROFS: "name a place that can be written",
    errno.EMFILE: "raise the limit of open files (ulimit -n), then do it again",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.ELOOP: "name a path without a circle of links",
}
RIGHTS = (errno.EACCES, errno.EPERM)


def as_liveshelf_error(error: Exception) -> LiveshelfError | None:
    """The error as a `LiveshelfError`; None for a bug in Liveshelf."""
    if isinstance(error, LiveshelfError):
        return error
    for module, name, translate in FOREIGN:
        error_type = getattr(sys.modules.get(module), name, None)
        if error_type is not None and isinstance(error, error_type) and (known_error := translate(error)) is not None:
            return known_error
    return None


def _kafka(error: Exception) -> BrokerError:
    from operators.kafka_io.broker_errors import broker_error
    from operators.settings import load_settings

    return broker_error(error, load_settings().kafka.client_options())


def _http(error: Exception) -> ClusterError:
    try:
        address = str(error.request.url.copy_with(userinfo=b""))  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError):
        address = "a server over HTTP"
    return ClusterError(f"an answer from {address}", repr(error), "liveshelf status shows what answers")


def _supervisor(error: Exception) -> StackError:
    return StackError("the stack's supervisor to do it", str(error), "liveshelf status shows what runs")


def _record(error: Exception) -> EventsFileError:
    return EventsFileError("records in the documented form", str(error), "liveshelf validate FILE lists every bad line")


def _text(error: Exception) -> EventsFileError:
    return EventsFileError("text in UTF-8 of the documented form", str(error), "save the file as such")


def _parquet(error: Exception) -> EventsFileError:
    return EventsFileError("Parquet files as docs/train.md describes them", str(error), "write them anew")


def _module(error: Exception) -> LiveshelfError | None:
    if "SOCKS" in str(error):  # httpx needs another package for it
        return LiveshelfError("a proxy that speaks HTTP", str(error), "unset ALL_PROXY, or name an HTTP proxy")
    name = (getattr(error, "name", None) or "").split(".")[0]
    return missing_extra(name) if name in EXTRA_OF else None


def _system(error: Exception) -> LiveshelfError | None:
    assert isinstance(error, OSError)
    if isinstance(error, TimeoutError | ConnectionError):
        return LiveshelfError(
            "a connection that holds", str(error) or repr(error), "liveshelf status shows what answers"
        )
    if error.errno == errno.EADDRINUSE:
        return LiveshelfError(
            "a port that is free", str(error), "stop what listens there (ss -ltnp), or set another port"
        )
    if error.errno in RIGHTS:
        fix = f"give {_user()} the right to it, or name another place"
    elif error.errno in FIXES:
        fix = FIXES[error.errno]
    else:
        return None
    path = error.filename2 or error.filename or "the working folder"
    return LiveshelfError(f"a usable path at {path}", str(error.strerror), fix)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return "this user"


FOREIGN: tuple[tuple[str, str, Callable[[Exception], LiveshelfError | None]], ...] = (
    ("kafka.errors", "KafkaError", _kafka),
    ("httpx", "HTTPError", _http),
    ("xmlrpc.client", "Error", _supervisor),
    ("msgspec", "MsgspecError", _record),
    ("json", "JSONDecodeError", _text),
    ("tomllib", "TOMLDecodeError", _text),
    ("builtins", "UnicodeDecodeError", _text),
    ("pyarrow", "ArrowException", _parquet),
    ("builtins", "ImportError", _module),
    ("builtins", "OSError", _system),
)
