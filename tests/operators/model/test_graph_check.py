"""Graphs that name other files, wherever ONNX lets them; `onnx` itself says what those places are."""

from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from operators.errors import BundleError
from operators.model import graph_check
from operators.model.graph_check import NESTED, refuse_other_files
from tests.builders import write_bundle, write_faulty_bundle
from tests.places import ROOT

DEMO = ROOT / "models" / "online-retail" / "model.onnx"


def elsewhere(name: str = "w") -> TensorProto:
    """A tensor whose numbers are in a file beside the graph."""
    tensor = TensorProto(name=name, dims=[2], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights.data")
    return tensor


def sparse(place: str) -> onnx.SparseTensorProto:
    made = onnx.SparseTensorProto(dims=[2])
    getattr(made, place).CopyFrom(elsewhere())
    return made


def node_with(**attribute: object) -> onnx.NodeProto:
    return onnx.NodeProto(op_type="Constant", attribute=[onnx.AttributeProto(name="a", **attribute)])


def graph_with(**fields: object) -> onnx.GraphProto:
    return onnx.GraphProto(name="g", **fields)


PLACES = {
    "initializer": graph_with(initializer=[elsewhere()]),
    "sparse initializer": graph_with(sparse_initializer=[sparse("values")]),
    "sparse indices": graph_with(sparse_initializer=[sparse("indices")]),
    "constant": graph_with(node=[node_with(t=elsewhere())]),
    "constants": graph_with(node=[node_with(tensors=[elsewhere()])]),
    "sparse constant": graph_with(node=[node_with(sparse_tensor=sparse("values"))]),
    "sparse constants": graph_with(node=[node_with(sparse_tensors=[sparse("indices")])]),
    "subgraph": graph_with(node=[node_with(g=graph_with(initializer=[elsewhere()]))]),
    "subgraphs": graph_with(node=[node_with(graphs=[graph_with(node=[node_with(t=elsewhere())])])]),
}


def models() -> dict[str, onnx.ModelProto]:
    made = {place: onnx.ModelProto(graph=graph) for place, graph in PLACES.items()}
    function = onnx.FunctionProto(name="f", node=[node_with(t=elsewhere())])
    default = onnx.FunctionProto(name="f", attribute_proto=[onnx.AttributeProto(name="a", t=elsewhere())])
    training = onnx.TrainingInfoProto(algorithm=PLACES["constant"])
    return made | {
        "function": onnx.ModelProto(functions=[function]),
        "default of a function": onnx.ModelProto(functions=[default]),
        "training": onnx.ModelProto(training_info=[training]),
        "in memory": onnx.ModelProto(graph=graph_with(initializer=[in_memory()])),
    }


def in_memory() -> TensorProto:
    """ONNX Runtime's own marker: an address of its process."""
    tensor = TensorProto(name="w", dims=[2], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="*/_ORT_MEM_ADDR_/*")
    return tensor


@pytest.mark.parametrize("place", models())
def test_a_tensor_in_another_file_is_refused_wherever_it_is(place: str) -> None:
    with pytest.raises(BundleError, match="another file"):
        refuse_other_files(models()[place].SerializeToString())


def test_either_sign_of_another_file_is_enough() -> None:
    marked = TensorProto(name="w", data_location=TensorProto.EXTERNAL)
    named = elsewhere()
    named.ClearField("data_location")
    for tensor in (marked, named):
        with pytest.raises(BundleError, match="another file"):
            refuse_other_files(onnx.ModelProto(graph=graph_with(initializer=[tensor])).SerializeToString())


def test_a_compiled_graph_in_another_file_is_refused() -> None:
    node = helper.make_node("EPContext", [], ["out"], domain="com.microsoft", ep_cache_context="engine.plan")
    with pytest.raises(BundleError, match="EPContext"):
        refuse_other_files(onnx.ModelProto(graph=graph_with(node=[node])).SerializeToString())


def test_graphs_that_hold_all_they_need_pass(tmp_path: Path) -> None:
    with_a_loop = write_faulty_bundle(tmp_path / "b") / "model.onnx"
    assert onnx.load(str(with_a_loop)).graph.node[-1].op_type
    for file in (DEMO, with_a_loop):
        refuse_other_files(file.read_bytes())
    explicit = TensorProto(name="w", dims=[1], data_type=1, float_data=[1.0], data_location=TensorProto.DEFAULT)
    refuse_other_files(onnx.ModelProto(graph=graph_with(initializer=[explicit])).SerializeToString())


def test_every_way_to_a_tensor_that_onnx_has_is_walked() -> None:
    """A newer `onnx` with another such field fails here."""
    to_tensors, todo = {"TensorProto"}, [onnx.ModelProto.DESCRIPTOR]
    found: dict[str, dict[int, str]] = {}
    while todo:
        message = todo.pop()
        if message.name not in found:
            fields = [field for field in message.fields if field.message_type is not None]
            found[message.name] = {field.number: field.message_type.name for field in fields}
            todo += [field.message_type for field in fields]
    while more := {name for name, fields in found.items() if to_tensors & set(fields.values())} - to_tensors:
        to_tensors |= more
    wanted = {name: {n: to for n, to in found[name].items() if to in to_tensors} for name in to_tensors}
    assert wanted == NESTED
    numbers = {field.name: field.number for field in TensorProto.DESCRIPTOR.fields}
    assert numbers["external_data"] == graph_check.EXTERNAL_DATA
    assert numbers["data_location"] == graph_check.DATA_LOCATION


def tagged(tag: bytes, content: bytes) -> bytes:
    return tag + bytes([len(content)]) + content


# a tag above 32 bits: protobuf's C++ drops the upper bits and sees field 13 of a tensor
WIDE_TAG = tagged(b"\x3a", tagged(b"\x2a", tagged(b"\xea\x80\x80\x80\x10", b"\x0a\x00")))


@pytest.mark.parametrize(
    "graph",
    [
        b"not a graph", b"\x3a\x05\x0a", b"\x0b\x0c", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x00\x00",
        b"\xff" * 12, b"\x0d\x01", b"\x09\x01", WIDE_TAG,
    ],
)  # fmt: skip
def test_what_is_no_protobuf_is_refused(graph: bytes) -> None:
    with pytest.raises(BundleError, match="in protobuf"):
        refuse_other_files(graph)


def test_a_graph_of_too_many_levels_or_fields_is_refused_soon() -> None:
    deep = b""
    for _ in range(300):  # a graph in an attribute of a node of a graph
        deep = onnx.GraphProto(name="g").SerializeToString() + _in(1, _in(5, _in(6, deep)))
    with pytest.raises(BundleError, match="levels"):
        refuse_other_files(_in(7, deep))
    with pytest.raises(BundleError, match="fields"):
        refuse_other_files(_in(7, b"\x0a\x00" * 1_100_000))


def _in(number: int, content: bytes) -> bytes:
    size, varint = len(content), bytearray()
    while size > 0x7F:
        varint.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2]) + bytes(varint) + bytes([size]) + content


BASES = [model.SerializeToString() for model in models().values()]


@settings(max_examples=400)
@given(st.sampled_from(BASES), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4), st.binary())
def test_what_onnx_reads_as_another_file_never_passes(base: bytes, changes: list[tuple[int, int]], tail: bytes) -> None:
    spoilt = bytearray(base)
    for at, byte in changes:
        spoilt[at % len(spoilt)] = byte
    content = bytes(spoilt) + tail
    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # protobuf's own class
        return
    if any(tensor.external_data or tensor.data_location for tensor in _tensors(model)):
        with pytest.raises(BundleError):
            refuse_other_files(content)


def _tensors(message: object) -> list[TensorProto]:
    if isinstance(message, TensorProto):
        return [message]
    found = []
    for field, value in message.ListFields():  # type: ignore[attr-defined]
        if field.message_type is not None:
            for one in [value] if hasattr(value, "ListFields") else value:
                found += _tensors(one)
    return found


def test_it_is_quick_where_weights_are_large(tmp_path: Path) -> None:
    """Weights are stepped over: what counts is the number of fields."""
    graph = write_bundle(tmp_path / "b", items=2000) / "model.onnx"
    assert graph.stat().st_size > 16_000_000
    seen = []
    original = graph_check._fields

    def counted(*asked: object) -> object:
        for field in original(*asked):  # type: ignore[arg-type]
            seen.append(field)
            yield field

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph_check, "_fields", counted)
        refuse_other_files(graph.read_bytes())
    assert len(seen) < 200
