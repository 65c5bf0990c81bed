"""A bundle with one damaged file, its sums right: refused with a `BundleError`, or served without any other error.

`python -m tests.fuzz.bundle -max_total_time=60`; atheris' own options apply.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["operators"]):
    from operators.errors import BundleError
    from operators.model_bundle import ModelBundle
    from operators.scorer import Scorer
    from operators.settings import ScorerSettings

from tests.builders import write_bundle, write_manifest

SOUND = write_bundle(Path(tempfile.mkdtemp()) / "sound")
FILES = sorted(file.name for file in SOUND.iterdir())


def one_input(content: bytes) -> None:
    """First byte: which file; second: whether to replace, cut, or overwrite at a place; then the bytes."""
    if len(content) < 4:
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bundle"
        shutil.copytree(SOUND, folder)
        file = folder / FILES[content[0] % len(FILES)]
        whole, piece = bytearray(file.read_bytes()), content[4:]
        at = int.from_bytes(content[2:4], "little") % (len(whole) + 1)
        match content[1] % 3:
            case 0:
                whole = bytearray(piece)
            case 1:
                del whole[at:]
            case 2:
                whole[at : at + len(piece)] = piece
        file.write_bytes(whole)
        if file.name != "manifest.json":
            write_manifest(folder)
        for load in (lambda: Scorer(ModelBundle.load(folder), SETTINGS), lambda: ModelBundle.load_fallbacks(folder)):
            try:
                load()
            except BundleError as error:
                assert "expected" in str(error)


SETTINGS = ScorerSettings(provider="cpu")

if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
