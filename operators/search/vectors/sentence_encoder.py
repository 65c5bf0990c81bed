"""A pre-trained sentence encoder: the texts of items and queries become vectors (extra `text`).

`liveshelf search encoder` makes its folder: `encoder.onnx` and `tokenizer.json`.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from operators.errors import SearchError
from operators.model.onnx_session import open_session
from operators.records.contracts import CatalogueItem
from operators.search.vectors.text_encoder import Vector

GRAPH, TOKENIZER = "encoder.onnx", "tokenizer.json"
TOKENS = 96  # of a text; the rest is cut
TOGETHER = 32  # texts in one run of the graph, of like lengths
TITLE, DESCRIBED = 300, 200  # characters of an item's title and description
NEXT = "make one with `liveshelf search encoder`, or leave search.encoder empty"


class SentenceEncoder:
    """A `TextEncoder`. One thread at a time encodes items; queries may come from any thread."""

    near = 0.25

    def __init__(self, folder: Path) -> None:
        """Raises `SearchError` if the folder does not hold an encoder, or the extra `text` is not installed."""
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            next_step = "pip install 'liveshelf[text]', or leave search.encoder empty"
            raise SearchError("the extra `text` (tokenizers)", "an install without it", next_step) from error
        try:
            graph = (folder / GRAPH).read_bytes()
            options = ort.SessionOptions()
            options.intra_op_num_threads = 1  # a query is too short to be worth several
            self._session = open_session(graph, options, ["CPUExecutionProvider"])
            self._tokenizer: Any = Tokenizer.from_file(str(folder / TOKENIZER))
        except Exception as error:  # tokenizers and ONNX Runtime raise plain exceptions of their own
            raise SearchError("a folder with a sentence encoder", f"{folder}: {error}", NEXT) from error
        self._tokenizer.enable_truncation(TOKENS)
        self._tokenizer.no_padding()
        self.name = f"{folder.name} {hashlib.sha256(graph).hexdigest()[:12]}"
        self.dimensions = int(self._session.get_outputs()[0].shape[1])

    def place(self, query: str) -> Vector | None:
        """As `TextEncoder`; a query without a letter or digit has no place."""
        if not any(char.isalnum() for char in query):
            return None
        vector: Vector = self.encode([query])[0]
        return vector

    def items(self, items: Sequence[CatalogueItem]) -> list[Vector | None]:
        """As `TextEncoder`."""
        return [*self.encode([item_text(item) for item in items])] if items else []

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32 [texts, dimensions], rows of unit length. Texts of like lengths run together, so padding is small.

        int8 activations share a scale over the texts that run together: a vector differs by about 0.003 with its company.
        """
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch([_plain(text) for text in texts])]
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda text: len(tokens[text]))
        for start in range(0, len(order), TOGETHER):
            rows = order[start : start + TOGETHER]
            ids = np.zeros((len(rows), max(len(tokens[row]) for row in rows)), dtype=np.int64)
            mask = np.zeros_like(ids)
            for place, row in enumerate(rows):
                ids[place, : len(tokens[row])] = tokens[row]
                mask[place, : len(tokens[row])] = 1
            vectors[rows] = self._session.run(None, {"ids": ids, "mask": mask})[0]
        return vectors


def item_text(item: CatalogueItem) -> str:
    """What the encoder reads of an item."""
    levels = " ".join(level.strip() for level in item.category_path.split(">")[-2:])
    parts = (item.title[:TITLE], item.brand, levels, " ".join(item.tags or ()), (item.description or "")[:DESCRIBED])
    return ". ".join(part for part in parts if part)


def _plain(text: str) -> str:
    """The text without half surrogates, which the tokenizer refuses."""
    return text.encode("utf-8", "replace").decode()
