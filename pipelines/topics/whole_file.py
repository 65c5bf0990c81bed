"""Files with shoppers' events: a file appears complete or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(file: Path) -> Iterator[BinaryIO]:
    """Opens a hidden file for the block, and renames it to `file` at the end. An error in the block removes it."""
    part_file = file.with_name(f".{file.name}.part")
    try:
        with part_file.open("wb") as out:
            yield out
        part_file.rename(file)
    finally:
        part_file.unlink(missing_ok=True)
