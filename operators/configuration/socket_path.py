"""The path of a Unix socket."""

import os
from pathlib import Path

LONGEST = 107  # bytes: Linux's limit


def checked_socket_path(path: str) -> str:
    """`path`, which a socket can have on any machine, or "". Raises `ValueError` with the reason."""
    if path and not Path(path).is_absolute():
        raise ValueError("is not absolute: processes with other working folders use it")
    if len(os.fsencode(path)) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} bytes: choose a shorter one, as /run/liveshelf/scorer.sock")
    return path
