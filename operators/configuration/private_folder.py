"""Folders that no other user of the machine can write to: what lies in one of them is believed."""

import os
import stat
import tempfile
from pathlib import Path

from operators.errors import StackError


def private_folder(folder: Path, setting: str, *, others_may_read: bool = False) -> Path:
    """The folder; it is made with mode 0700 where it is not there yet.

    Whoever can write to it decides which socket is connected to, which engine runs in the GPU, which file is mapped. Folders
    below /tmp have names that can be guessed, so another user may have made one first.

    `setting`: the setting that names it. Only the folder itself is looked at: the folders above it must be kept by root or by
    this user, or be sticky as /tmp is.
    Raises `StackError` where it cannot be made, is a link, belongs to another user, or lets others write (read, unless
    `others_may_read`).
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StackError(
            f"a folder for {setting} that can be made", str(error), f"name another in {setting}"
        ) from error
    allowed = 0o755 if others_may_read else 0o700
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode):
        came, fix = "it is a link", f"name the folder that it leads to in {setting}"
    elif found.st_uid != os.geteuid():
        came, fix = f"it belongs to the user with uid {found.st_uid}", f"name another in {setting}"
    elif mode & 0o777 & ~allowed:
        came, fix = f"its mode is {mode:o}", f"see who wrote to it, then: chmod {allowed:o} {folder}"
    else:
        return folder
    raise StackError(f"{setting} to be a folder of this user (uid {os.geteuid()}) alone", f"{folder}: {came}", fix)


def cache_folder(name: str) -> Path:
    """Where this user's files are kept that can be made anew: `$XDG_CACHE_HOME` or `~/.cache`, below `liveshelf`."""
    above = os.environ.get("XDG_CACHE_HOME")
    return (Path(above) if above else Path.home() / ".cache") / "liveshelf" / name


def user_folder(name: str, setting: str, below: Path | None = None) -> Path:
    """The folder `name` of this user below the system's temporary folder, made as `private_folder` makes it: for what need
    not outlive the machine's next start, on machines where a user may have no home. TMPDIR moves it; where each process
    must find the same folder, name one with `below`."""
    own = private_folder((below or Path(tempfile.gettempdir())) / f"liveshelf-{os.geteuid()}", setting)
    return private_folder(own / name, setting)
