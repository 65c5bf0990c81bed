"""Folders that no other user of the machine can write to. Liveshelf trusts the files in them."""

import os
import stat
import tempfile
from pathlib import Path

from operators.errors import StackError


def private_folder(folder: Path, setting: str, *, others_may_read: bool = False) -> Path:
    """Returns the folder, and creates it with mode 0700 if it does not exist.

    A user who can write to it could replace a socket, an engine for the GPU or a mapped file. Names of folders below /tmp can
    be guessed, so another user may have created one first.

    `setting`: the setting that names it. Checks only the folder itself: the folders above it must belong to root or to this
    user, or be sticky as /tmp is.
    Raises `StackError` if it cannot be created, is a link, belongs to another user, or lets others write (read, unless
    `others_may_read`).
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise StackError(
            f"a folder for {setting} that can be made", str(error), f"name another in {setting}"
        ) from error
    allowed = 0o755 if others_may_read else 0o700
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISDIR(status.st_mode):
        came, fix = "it is a link", f"name the folder that it leads to in {setting}"
    elif status.st_uid != os.geteuid():
        came, fix = f"it belongs to the user with uid {status.st_uid}", f"name another in {setting}"
    elif mode & 0o777 & ~allowed:
        came, fix = f"its mode is {mode:o}", f"see who wrote to it, then: chmod {allowed:o} {folder}"
    else:
        return folder
    raise StackError(f"{setting} to be a folder of this user (uid {os.geteuid()}) alone", f"{folder}: {came}", fix)


def cache_folder(name: str) -> Path:
    """The folder of this user's files that can be created again: `$XDG_CACHE_HOME` or `~/.cache`, below `liveshelf`."""
    above = os.environ.get("XDG_CACHE_HOME")
    return (Path(above) if above else Path.home() / ".cache") / "liveshelf" / name


def user_folder(name: str, setting: str, below: Path | None = None) -> Path:
    """The folder `name` of this user below the system's temporary folder, created as by `private_folder`. It is for
    files that may vanish at a restart of the machine, where a user may have no home. TMPDIR moves it; use `below` where all
    processes must use the same folder."""
    own = private_folder((below or Path(tempfile.gettempdir())) / f"liveshelf-{os.geteuid()}", setting)
    return private_folder(own / name, setting)
