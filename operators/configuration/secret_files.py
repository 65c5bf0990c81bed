"""Reads files that hold a password or a private key. Refuses a file that other users may read."""

import stat
from pathlib import Path

from operators.errors import SettingsError

OTHERS = stat.S_IRWXO


def existing(path: str, setting: str) -> Path:
    """The file that a setting names. Raises `SettingsError` if this process cannot read it."""
    file = Path(path)
    try:
        with file.open("rb"):
            return file
    except OSError as error:
        raise SettingsError(
            f"a file that can be read at `{setting}`", f"{path} ({error.strerror})", f"correct {setting}, or its rights"
        ) from error


def private(path: str, setting: str) -> Path:
    """As `existing`, for a file with a secret: other users may have no rights (the group may: Kubernetes needs that)."""
    file = existing(path, setting)
    mode = file.stat().st_mode
    if mode & OTHERS:
        raise SettingsError(
            f"a file at `{setting}` that only its owner and group may use",
            f"{path} with mode {stat.S_IMODE(mode):04o}",
            f"chmod 600 {path} (in Kubernetes: defaultMode: 0400)",
        )
    return file


def secret(path: str, setting: str) -> str:
    """The text of such a file, without the line's end that editors and `echo` write. Raises `SettingsError`."""
    try:
        text = private(path, setting).read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SettingsError(f"UTF-8 text in the file of `{setting}`", "other bytes", f"write {path} anew") from error
    if not text or "\n" in text or "\r" in text:
        raise SettingsError(
            f"one line in the file of `{setting}`",
            "none" if not text else "several",
            f"write the secret alone to {path}",
        )
    return text
