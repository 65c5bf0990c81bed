"""A bundle with one damaged file, its sums right: refused with a `BundleError`, or served without any other error.

Half of the inputs damage a bundle whose weights lie in another file, right where ONNX Runtime looks for it: however its
graph is damaged, it is never served.

`python -m tests.fuzz.bundle -max_total_time=60`; atheris' own options apply.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import atheris
import onnx

with atheris.instrument_imports(include=["operators"]):
    from operators.errors import BundleError
    from operators.model.model_bundle import ModelBundle
    from operators.model.scorer import Scorer
    from operators.settings import ScorerSettings

from tests.builders import write_bundle, write_manifest

SETTINGS = ScorerSettings(provider="cpu")
SOUND = write_bundle(Path(tempfile.mkdtemp()) / "sound")
FILES = sorted(file.name for file in SOUND.iterdir())
WEIGHTS = "weights.data"


def with_weights_elsewhere() -> Path:
    """The sound bundle, its table in a file beside the graph and, for a graph that is loaded from bytes, in the working folder."""
    folder = write_bundle(Path(tempfile.mkdtemp()) / "elsewhere")
    graph = onnx.load(str(folder / "model.onnx"))
    onnx.save(graph, str(folder / "model.onnx"), save_as_external_data=True, location=WEIGHTS, size_threshold=0)
    os.chdir(folder)
    return folder


ELSEWHERE = with_weights_elsewhere()


def one_input(content: bytes) -> None:
    """First byte: which bundle and file; second: whether to replace, cut, or overwrite at a place; then the bytes."""
    if len(content) < 4:
        return
    elsewhere, number = content[0] & 1, content[0] >> 1
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bundle"
        shutil.copytree(ELSEWHERE if elsewhere else SOUND, folder)
        file = folder / ("model.onnx" if elsewhere else FILES[number % len(FILES)])
        damage(file, content[1], int.from_bytes(content[2:4], "little"), content[4:])
        if file.name != "manifest.json":
            write_manifest(folder)
        for load in (lambda: Scorer(ModelBundle.load(folder), SETTINGS), lambda: ModelBundle.load_fallbacks(folder)):
            try:
                loaded = load()
            except BundleError as error:
                assert "expected" in str(error)
            else:
                assert not (elsewhere and isinstance(loaded, Scorer)), "it serves weights that no sum covers"


def damage(file: Path, how: int, at: int, piece: bytes) -> None:
    """Replaces the file by `piece`, cuts it at `at`, or overwrites it there."""
    whole = bytearray(file.read_bytes())
    at %= len(whole) + 1
    match how % 3:
        case 0:
            whole = bytearray(piece)
        case 1:
            del whole[at:]
        case 2:
            whole[at : at + len(piece)] = piece
    file.write_bytes(whole)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
