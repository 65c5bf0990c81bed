"""Checks that an ONNX graph names no other file, so that the hash of its bytes covers all of it.

ONNX lets a tensor keep its numbers in a file beside the graph (external data). No hash of a bundle covers that file, and
ONNX Runtime has no switch that refuses it: a graph that is loaded from bytes reads it from the working folder. This module
walks the protobuf of the graph without the package `onnx`, which a serving machine does not have. It copies nothing and
skips messages without tensors. Form: onnx.proto, and https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator

from operators.errors import BundleError

# message -> number of the field -> message in it; only what leads to a tensor or a node
NESTED = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto", 6: "GraphProto", 10: "TensorProto", 11: "GraphProto",
        22: "SparseTensorProto", 23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {},
}  # fmt: skip
EXTERNAL_DATA, DATA_LOCATION, OP_TYPE = 13, 14, 4
MAX_FIELDS = 1_000_000  # the demo's graph has 1,300: a file made of empty fields must not take minutes
MAX_DEPTH = 100  # protobuf's own limit
MAX_NUMBER = 1 << 29  # of a field, protobuf's own
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_FIX = "export the bundle again with `liveshelf train`, which keeps all weights in model.onnx"


def refuse_other_files(graph: bytes) -> None:
    """Raises `BundleError` where a graph reads another file, or is no protobuf that this can follow."""
    view, waiting, seen = memoryview(graph), [("ModelProto", 0, len(graph), 0)], 0
    while waiting:
        message, begin, end, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise BundleError(f"a graph of at most {MAX_DEPTH} levels", "more", _FIX)
        nested = NESTED[message]
        for number, kind, start, stop in _fields(view, begin, end):
            if (seen := seen + 1) > MAX_FIELDS:
                raise BundleError(f"a graph of at most {MAX_FIELDS} fields", "more", _FIX)
            if message == "TensorProto":
                _check_tensor(view, number, kind, start)
            elif (
                message == "NodeProto"
                and number == OP_TYPE
                and bytes(view[start : min(stop, start + 64)]) == b"EPContext"
            ):
                raise BundleError("a graph of operators", "EPContext, which loads a compiled graph from a file", _FIX)
            if kind == _BYTES and number in nested:
                waiting.append((nested[number], start, stop, depth + 1))


def _check_tensor(view: memoryview, number: int, kind: int, start: int) -> None:
    elsewhere = number == DATA_LOCATION and (kind != _VARINT or _varint(view, start, len(view))[0])
    if number == EXTERNAL_DATA or elsewhere:
        raise BundleError("a graph that holds all its weights", "a tensor whose numbers are in another file", _FIX)


def _fields(view: memoryview, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, wire type, start, stop) of each field of a message, `start` to `stop` its content."""
    at = begin
    while at < end:
        tag, start = _varint(view, at, end)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, at = _varint(view, start, end)
        elif kind == _BYTES:
            size, start = _varint(view, start, end)
            at = start + size
        elif kind in (_EIGHT, _FOUR):
            at = start + (8 if kind == _EIGHT else 4)
        else:
            raise BundleError("a graph in protobuf", f"wire type {kind}", _FIX)
        # protobuf's C++ drops what is above 32 bits of a tag: this must not see another number than that does
        if at > end or not 0 < number < MAX_NUMBER:
            raise BundleError("a graph in protobuf", "a field beyond its message, or without a number", _FIX)
        yield number, kind, start, at


def _varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    """(value, place behind it)."""
    value = shift = 0
    while at < end and shift < 70:
        byte = view[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise BundleError("a graph in protobuf", "a number that does not end", _FIX)
