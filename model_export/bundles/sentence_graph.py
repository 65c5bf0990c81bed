"""A pre-trained sentence encoder as one ONNX graph: BERT, the mean of the last layer over the text, at unit length.

Reads a folder of sentence-transformers' form (`config.json`, `model.safetensors`, `tokenizer.json`), such as
all-MiniLM-L6-v2 (Reimers and Gurevych, EMNLP 2019; Wang et al., NeurIPS 2020). The weights become int8: a third of the
time and a quarter of the size for cosines that differ by 0.003.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from operators.errors import SearchError

GRAPH, TOKENIZER = "encoder.onnx", "tokenizer.json"
OPSET = 20  # the first with Gelu
MASKED = 10_000.0  # what the score of padding loses before the softmax
_TYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64}

Weights = dict[str, npt.NDArray[Any]]


def export_encoder(source: Path, out: Path) -> None:
    """Writes `encoder.onnx` (int8) and `tokenizer.json` into `out`. Raises `SearchError` for a folder of another form."""
    try:
        config = json.loads((source / "config.json").read_text())
        weights = _weights((source / "model.safetensors").read_bytes())
        if config["model_type"] != "bert" or config["hidden_act"] != "gelu":
            raise KeyError(f"{config['model_type']} with {config['hidden_act']}")
        graph = _Graph(weights, config).model()
        out.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / TOKENIZER, out / TOKENIZER)
    except (OSError, KeyError, ValueError) as error:
        expected = "a folder with config.json, model.safetensors and tokenizer.json of a BERT sentence encoder"
        raise SearchError(expected, f"{source}: {error}", "name one with --model") from error
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        onnx.save(graph, str(plain))
        options = {"weight_type": QuantType.QInt8, "op_types_to_quantize": ["MatMul", "Gather"], "per_channel": True}
        quantize_dynamic(str(plain), str(out / GRAPH), **options)


def _weights(file: bytes) -> Weights:
    """The arrays of a safetensors file: a length, a JSON header, the arrays."""
    size = int.from_bytes(file[:8], "little")
    weights = {}
    for name, entry in json.loads(file[8 : 8 + size]).items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            flat = np.frombuffer(file[8 + size + start : 8 + size + end], dtype=_TYPES[entry["dtype"]])
            weights[name] = flat.reshape(entry["shape"])
    return weights


class _Graph:
    """Nodes and constants as they come; each method returns the name of its output."""

    def __init__(self, weights: Weights, config: dict[str, Any]) -> None:
        self._weights, self._config = weights, config
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._width, self._heads = int(config["hidden_size"]), int(config["num_attention_heads"])

    def model(self) -> onnx.ModelProto:
        """`ids`, `mask` int64 [N, T] -> `vectors` float32 [N, d]."""
        state, mask = self._embedded(), self._op("Cast", "mask", to=TensorProto.FLOAT)
        hidden = self._op("Sub", mask, self._number(1.0))
        hidden = self._op("Mul", hidden, self._number(MASKED))
        hidden = self._op("Unsqueeze", hidden, self._integers(1, 2))
        for layer in range(int(self._config["num_hidden_layers"])):
            state = self._layer(state, hidden, f"encoder.layer.{layer}")
        kept = self._op("Mul", state, self._op("Unsqueeze", mask, self._integers(2)))
        total = self._op("ReduceSum", kept, self._integers(1), keepdims=0)
        self._nodes.append(helper.make_node("LpNormalization", [total], ["vectors"], axis=-1, p=2))
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("ids", "mask")]
        output = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", self._width])
        graph = helper.make_graph(self._nodes, "sentence_encoder", inputs, [output], [*self._constants.values()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
        onnx.checker.check_model(model)
        return model

    def _embedded(self) -> str:
        name = "embeddings"
        words = self._op("Gather", self._weight(f"{name}.word_embeddings.weight"), "ids")
        places = (
            self._weights[f"{name}.position_embeddings.weight"]
            + self._weights[f"{name}.token_type_embeddings.weight"][0]
        )
        length = self._op("Gather", self._op("Shape", "ids"), self._integers(1))
        at = self._op("Slice", self._constant("places", places), self._integers(0), length)
        return self._norm(self._op("Add", words, at), f"{name}.LayerNorm")

    def _layer(self, state: str, hidden: str, name: str) -> str:
        query, key, value = (self._split(self._linear(state, f"{name}.attention.self.{part}")) for part in _PARTS)
        scores = self._op("MatMul", query, self._op("Transpose", key, perm=[0, 1, 3, 2]))
        scores = self._op("Mul", scores, self._number((self._width // self._heads) ** -0.5))
        shares = self._op("Softmax", self._op("Add", scores, hidden), axis=-1)
        read = self._op("Transpose", self._op("MatMul", shares, value), perm=[0, 2, 1, 3])
        read = self._op("Reshape", read, self._integers(0, 0, self._width))
        state = self._add_norm(self._linear(read, f"{name}.attention.output.dense"), state, f"{name}.attention.output")
        wide = self._op("Gelu", self._linear(state, f"{name}.intermediate.dense"))
        return self._add_norm(self._linear(wide, f"{name}.output.dense"), state, f"{name}.output")

    def _split(self, state: str) -> str:
        shape = self._integers(0, 0, self._heads, self._width // self._heads)
        return self._op("Transpose", self._op("Reshape", state, shape), perm=[0, 2, 1, 3])

    def _add_norm(self, left: str, right: str, name: str) -> str:
        return self._norm(self._op("Add", left, right), f"{name}.LayerNorm")

    def _norm(self, state: str, name: str) -> str:
        epsilon = float(self._config["layer_norm_eps"])
        gains = (self._weight(f"{name}.weight"), self._weight(f"{name}.bias"))
        return self._op("LayerNormalization", state, *gains, axis=-1, epsilon=epsilon)

    def _linear(self, state: str, name: str) -> str:
        weight = self._constant(f"{name}.weight", self._weights[f"{name}.weight"].T)
        return self._op("Add", self._op("MatMul", state, weight), self._weight(f"{name}.bias"))

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _number(self, value: float) -> str:
        return self._constant(f"number {value}", np.array(value, dtype=np.float32))

    def _integers(self, *values: int) -> str:
        return self._constant(f"integers {values}", np.array(values, dtype=np.int64))

    def _constant(self, name: str, value: npt.NDArray[Any]) -> str:
        array = value if value.dtype == np.int64 else value.astype(np.float32)
        self._constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


_PARTS = ("query", "key", "value")
