"""The stack's data folder: a marker file claims it, only its user can read it, and a purge removes only the stack's files."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from operators.configuration import secure_stack
from operators.errors import StackError
from operators.settings import project_root

MARKER = ".liveshelf-stack"
NOTE = "Made by `liveshelf up`: `liveshelf down --purge` removes the parts of a stack that lie here.\n"
OWN = frozenset(
    [
        "bundles",
        "checkpoints",
        "flink",
        "high-availability",
        "kafka",
        "lineage.jsonl",
        "logs",
        "pids",
        "prometheus",
        "savepoints",
        "scorer.sock",
        "secrets",
        secure_stack.FILE_NAME,
        "supervisor.sock",
        "supervisord.conf",
        "supervisord.pid",
        "tables",
        "trainer",  # its history has offsets of topics that a purge removes
        "zookeeper",
    ]
)
BESIDE = frozenset(["bench", "jars", "work"])  # folders of other verbs in the default folder; a purge leaves them


def claim(data: Path, jars: Path) -> None:
    """Creates `data` with the marker file. Raises `StackError` when it holds files that no stack made."""
    _refuse_shared(data)
    try:
        if (data / MARKER).is_file():
            return
        foreign = sorted(entry.name for entry in _entries(data) if entry.name not in OWN | BESIDE and entry != jars)
        if not foreign:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            (data / MARKER).write_text(NOTE)
    except OSError as error:
        raise StackError("a stack.data_dir that can be written", str(error), "name another folder") from error
    if foreign:
        raise StackError(
            f"stack.data_dir to be empty, or the folder of a stack: {data}",
            f"{', '.join(foreign[:3])} in it, which no stack made",
            "name a folder of its own in stack.data_dir",
        )


def release(data: Path, jars: Path) -> None:
    """Removes the stack's files, and `data` itself when it is then empty. Raises `StackError` without the marker file."""
    _refuse_shared(data)
    if not (data / MARKER).is_file():
        if any(_files_below(data, jars)):
            raise StackError(
                f"the marker {MARKER} in stack.data_dir ({data})",
                "none: no stack of this version was started there",
                "correct stack.data_dir; a stack of an older version is marked when it is started: liveshelf up",
            )
        return
    try:
        for entry in _entries(data):
            if entry.name in OWN and entry != jars:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    except OSError as error:  # a file system is mounted there, or another user owns a part
        raise StackError(
            f"that everything in stack.data_dir ({data}) can be removed",
            str(error),
            "unmount it, or correct the rights; then the same again",
        ) from error
    (data / MARKER).unlink()
    if not any(_entries(data)):
        data.rmdir()


def tighten(folder: Path) -> None:
    """Removes the rights of other users on everything below `folder`: older stacks made it readable for everybody.

    Raises `StackError` when a file belongs to another user.
    """
    for at, folders, files in os.walk(folder):
        for path in (at, *(os.path.join(at, name) for name in (*folders, *files))):
            mode = os.lstat(path).st_mode
            if not stat.S_ISLNK(mode) and mode & 0o077:
                try:
                    os.chmod(path, stat.S_IMODE(mode) & 0o7700)
                except OSError as error:
                    raise StackError(f"{folder} to be this user's alone", str(error), "chown it") from error


def _refuse_shared(data: Path) -> None:
    temporary = Path(tempfile.gettempdir())
    for shared, name in (
        (project_root(), "the project"),
        (Path.home(), "the home folder"),
        (temporary, str(temporary)),
    ):
        if shared.resolve().is_relative_to(data):
            raise StackError(
                "stack.data_dir to be a folder for the stack alone",
                f"{data}, which holds {name}",
                "name another folder",
            )


def _entries(data: Path) -> list[Path]:
    return list(data.iterdir()) if data.is_dir() else []


def _files_below(data: Path, jars: Path) -> Iterator[str]:
    return (name for at, _, names in os.walk(data) for name in names if not Path(at).is_relative_to(jars))
