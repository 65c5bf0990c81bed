"""A lock between processes with a bounded wait: its holder may be stopped."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from operators.errors import StackError

LOOK_SECONDS = 0.05


@contextlib.contextmanager
def locked(file: Path, patience_s: float) -> Iterator[None]:
    """The lock of a file is held inside this block. Raises `StackError` (`retriable`) where another process keeps it."""
    with file.open("a") as opened:
        until = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise _lock_error(file, opened, patience_s) from error
            time.sleep(LOOK_SECONDS)
        yield


def _lock_error(file: Path, opened: IO[str], patience_s: float) -> StackError:
    pid = _holder(os.fstat(opened.fileno()).st_ino)
    return StackError(
        f"the lock of {file} within {patience_s:.0f} s",
        f"process {pid} keeps it ({_state(pid)})" if pid else "another process keeps it",
        f"kill -CONT {pid}, or kill -9 {pid}" if pid else f"fuser {file}",
        retriable=True,
    )


def _holder(inode: int) -> int:
    """The pid of the process that holds an flock; 0 where /proc does not know."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()  # number: FLOCK ADVISORY WRITE pid major:minor:inode from to
            if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
                return max(0, int(words[4]))
    return 0


def _state(pid: int) -> str:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("State:"):
                return line.split(maxsplit=1)[1]
    return "its state is not known"
