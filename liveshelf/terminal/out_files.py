"""Files that a verb writes: what it did not write itself is never replaced."""

from collections.abc import Callable
from pathlib import Path

from operators.errors import LiveshelfError


def check_out(file: Path | None, kind: str, is_ours: Callable[[Path], bool]) -> None:
    """Raises `LiveshelfError` where `file` cannot be written, or where something lies there that `is_ours` does not know.

    Call it before the work: an evaluation takes minutes.
    """
    if file is None:
        return
    if not file.parent.is_dir():
        raise LiveshelfError(f"a folder {file.parent} for {file.name}", "none", f"mkdir -p {file.parent}")
    if file.exists() and not (file.is_file() and (not file.stat().st_size or is_ours(file))):
        came = (
            "a folder"
            if file.is_dir()
            else f"a {'file' if file.is_file() else 'device'} that is no {kind}, and would be gone"
        )
        raise LiveshelfError(
            f"nothing, or an earlier {kind}, at {file}", came, "name another file, or move this one away"
        )


def begins(*starts: bytes) -> Callable[[Path], bool]:
    """Whether a file begins with one of these."""

    def is_ours(file: Path) -> bool:
        with file.open("rb") as opened:
            return opened.read(64).startswith(starts)

    return is_ours
