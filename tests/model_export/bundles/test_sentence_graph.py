"""The graph of a sentence encoder against the same network in numpy, and the encoder that serves it."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest

from model_export.bundles.sentence_graph import _Graph, export_encoder
from operators.errors import SearchError
from operators.records.contracts import CatalogueItem
from operators.search.vectors.sentence_encoder import SentenceEncoder, item_text

WIDTH, HEADS, WIDE, LAYERS, PLACES = 8, 2, 16, 2, 12
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "lantern", "dog", "bowl"]
CONFIG = {
    "model_type": "bert", "hidden_act": "gelu", "hidden_size": WIDTH, "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS, "layer_norm_eps": 1e-12,
}  # fmt: skip
Array = npt.NDArray[np.float32]


def weights() -> dict[str, Array]:
    rng = np.random.default_rng(3)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(WORDS), WIDTH),
        "embeddings.position_embeddings.weight": (PLACES, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,),
    }
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        for part, rows, columns in (
            ("attention.self.query", WIDTH, WIDTH), ("attention.self.key", WIDTH, WIDTH), ("attention.self.value", WIDTH, WIDTH),
            ("attention.output.dense", WIDTH, WIDTH), ("intermediate.dense", WIDE, WIDTH), ("output.dense", WIDTH, WIDE),
        ):  # fmt: skip
            shapes |= {f"{name}.{part}.weight": (rows, columns), f"{name}.{part}.bias": (rows,)}
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{name}.{part}.weight": (WIDTH,), f"{name}.{part}.bias": (WIDTH,)}
    scales = {
        name: 0.1 if name.endswith("bias") else 1.0 for name in shapes
    }  # else the biases say it all, not the text
    scales["embeddings.word_embeddings.weight"] = 4.0
    return {name: (rng.normal(size=shape) * scales[name]).astype(np.float32) for name, shape in shapes.items()}


def by_hand(w: dict[str, Array], ids: list[int]) -> Array:
    """One text without padding, as BERT's paper has it."""

    def norm(x: Any, name: str) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12) * w[name + ".weight"] + w[name + ".bias"]

    def linear(x: Any, name: str) -> Any:
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name, read = f"encoder.layer.{layer}", []
        query, key, value = (linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
        for head in np.split(np.arange(WIDTH), HEADS):
            scores = np.exp(query[:, head] @ key[:, head].T / math.sqrt(WIDTH / HEADS))
            read.append(scores / scores.sum(-1, keepdims=True) @ value[:, head])
        x = norm(
            linear(np.concatenate(read, 1), f"{name}.attention.output.dense") + x, f"{name}.attention.output.LayerNorm"
        )
        wide = linear(x, f"{name}.intermediate.dense")
        wide = wide * 0.5 * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
        x = norm(linear(wide, f"{name}.output.dense") + x, f"{name}.output.LayerNorm")
    mean: Array = x.mean(0)
    return mean / np.linalg.norm(mean)


def test_the_graph_computes_what_numpy_computes_and_padding_changes_nothing() -> None:
    graph = _Graph(weights(), CONFIG).model().SerializeToString()
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    ids = np.array([[2, 4, 5, 3], [2, 6, 3, 0]])
    mask = (ids > 0).astype(np.int64)
    vectors = session.run(None, {"ids": ids, "mask": mask})[0]
    np.testing.assert_allclose(vectors[0], by_hand(weights(), [2, 4, 5, 3]), atol=1e-5)
    np.testing.assert_allclose(vectors[1], by_hand(weights(), [2, 6, 3]), atol=1e-5)


def source_folder(folder: Path) -> Path:
    """A sentence encoder as sentence-transformers keeps it, tiny."""
    tokenizers = pytest.importorskip("tokenizers")
    folder.mkdir()
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({w: n for n, w in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    header, arrays = {}, b""
    for name, array in weights().items():
        start, arrays = len(arrays), arrays + array.tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [start, len(arrays)]}
    encoded = json.dumps({"__metadata__": {}, **header}).encode()
    (folder / "model.safetensors").write_bytes(len(encoded).to_bytes(8, "little") + encoded + arrays)
    return folder


def test_an_exported_encoder_places_items_and_queries_together(tmp_path: Path) -> None:
    export_encoder(source_folder(tmp_path / "source"), tmp_path / "encoder")
    encoder = SentenceEncoder(tmp_path / "encoder")
    assert encoder.dimensions == WIDTH
    item, other = CatalogueItem(item_id="1", title="red lantern"), CatalogueItem(item_id="2", title="dog")
    (lantern, dog), query = encoder.items([item, other]), encoder.place("Red Lantern")
    assert lantern is not None and dog is not None and query is not None
    np.testing.assert_allclose(lantern, query, atol=0.02)  # int8: texts that run together share a scale
    np.testing.assert_allclose(lantern, by_hand(weights(), [2, 4, 5, 3]), atol=0.15)  # int8 of 8 numbers
    assert float(dog @ query) < 0.98 < 0.999 < float(lantern @ query)
    assert encoder.items([]) == [] and encoder.place("😀 !") is None and encoder.place("a\ud800") is not None


def test_a_folder_that_holds_no_encoder_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    for make in (lambda: SentenceEncoder(tmp_path), lambda: export_encoder(tmp_path, tmp_path / "out")):
        with pytest.raises(SearchError):
            make()
    source = source_folder(tmp_path / "source")
    (source / "config.json").write_text(json.dumps(CONFIG | {"model_type": "roberta"}))
    with pytest.raises(SearchError, match="roberta"):
        export_encoder(source, tmp_path / "out")


def test_an_item_is_read_from_its_texts() -> None:
    item = CatalogueItem(
        item_id="1", title="Mug", brand="Acme", category="A > B > C", tags=["red"], description="d" * 500
    )
    assert item_text(item) == f"Mug. Acme. B C. red. {'d' * 200}"
    assert item_text(CatalogueItem(item_id="1", title="Mug", description="of tin")) == "Mug. of tin"
