"""The socket of the scorer service: of this user alone, of one process, and gone when that process ends."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from operators.configuration.private_folder import private_folder
from operators.configuration.socket_path import checked_socket_path
from operators.errors import StackError
from pipelines.scoring.links import SETTING

BACKLOG = 64


class ServiceSocket:
    """A Unix socket that listens."""

    def __init__(self, path: Path, listener: socket.socket) -> None:
        self.path, self.listener = path, listener
        self._file = _file_at(path)

    def is_in_place(self) -> bool:
        """Whether its path still leads to it. Where not, nobody can connect any more."""
        return self._file is not None and _file_at(self.path) == self._file


@contextlib.contextmanager
def listening(path: Path) -> Iterator[ServiceSocket]:
    """Listens at `path` inside this block, in a folder of this user alone, which it creates where there is none.

    Replaces the socket of a process that has died. Raises `StackError` where a process listens there already, where
    something else than a socket has this name, or no socket can have it, and as `private_folder` does.
    """
    try:
        checked_socket_path(str(path))
    except ValueError as error:
        raise StackError(f"a path for the socket ({SETTING})", f"{path}: it {error}", "name another") from error
    private_folder(path.parent, SETTING)
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            _remove_unused(path)
            listener.bind(str(path))
            path.chmod(0o600)
            service = ServiceSocket(path, listener)
            listener.listen(BACKLOG)
        except OSError as error:
            raise StackError(f"to listen at {path}", str(error), f"name another path in {SETTING}") from error
        try:
            yield service
        finally:
            if service.is_in_place():
                path.unlink()


def _remove_unused(path: Path) -> None:
    """Removes a socket without a listener: a killed process leaves it."""
    if (status := _status(path)) is None:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise StackError(f"a socket or nothing at {path}", "another file", f"name another path in {SETTING}")
    with socket.socket(socket.AF_UNIX) as end:
        end.setblocking(False)
        try:
            end.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:  # it listens, and more wait there than it takes
            pass
    raise StackError(
        f"one scorer service at {path}",
        "another process listens there",
        f"stop that one (fuser {path}), or give this one a path of its own",
    )


def _file_at(path: Path) -> tuple[int, int] | None:
    status = _status(path)
    return (status.st_dev, status.st_ino) if status else None


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
