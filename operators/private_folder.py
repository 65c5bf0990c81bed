"""Folders that no other user of the machine can read, write or prepare."""

import os
import stat
import tempfile
from pathlib import Path

from operators.errors import SettingsError


def private_folder(folder: Path, setting: str) -> Path:
    """Makes `folder` with mode 0700 and returns it. One that is there must be this user's alone.

    In a folder that all may write to (/tmp), another user could have put a link or a folder of theirs in its place.
    `setting`: what names another folder. Raises `SettingsError`.
    """
    wanted = f"{folder} to be a folder of user {os.getuid()} with mode 0700"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise SettingsError(wanted, str(error), f"set {setting} to a folder of this user") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        came = f"{stat.filemode(found.st_mode)} of user {found.st_uid}"
        raise SettingsError(wanted, came, f"remove it, or set {setting} to a folder of this user")
    return folder


def user_folder(name: str, setting: str) -> Path:
    """The folder `name` of this user below the system's temporary folder, made as `private_folder` makes it."""
    own = private_folder(Path(tempfile.gettempdir()) / f"liveshelf-{os.getuid()}", setting)
    return private_folder(own / name, setting)
