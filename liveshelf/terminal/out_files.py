"""Output files: a verb replaces only files that it wrote itself."""

from collections.abc import Callable
from pathlib import Path

from operators.errors import LiveshelfError


def check_out(file: Path | None, kind: str, is_ours: Callable[[Path], bool]) -> None:
    """Raises `LiveshelfError` if `file` cannot be written, or exists and `is_ours` denies it.

    Call it before the work starts: an evaluation takes minutes.
    """
    if file is None:
        return
    if not file.parent.is_dir():
        raise LiveshelfError(f"a folder {file.parent} for {file.name}", "none", f"mkdir -p {file.parent}")
    if file.exists() and not (file.is_file() and (not file.stat().st_size or is_ours(file))):
        existing = (
            "a folder"
            if file.is_dir()
            else f"a {'file' if file.is_file() else 'device'} that is no {kind}, and would be gone"
        )
        raise LiveshelfError(
            f"nothing, or an earlier {kind}, at {file}", existing, "name another file, or move this one away"
        )


def begins(*starts: bytes) -> Callable[[Path], bool]:
    """A check for `check_out`: whether a file begins with one of these bytes."""

    def is_ours(file: Path) -> bool:
        with file.open("rb") as opened:
            return opened.read(64).startswith(starts)

    return is_ours
