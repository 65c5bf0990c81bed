"""Files that hold what shoppers did: they appear whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(file: Path) -> Iterator[BinaryIO]:
    """What is written in the block gets the name `file` at its end; where the block raises nothing of it stays."""
    aside = file.with_name(f".{file.name}.part")
    try:
        with aside.open("wb") as out:
            yield out
        aside.rename(file)
    finally:
        aside.unlink(missing_ok=True)
