"""Small things that many tests build: events, states, and a bundle whose scores are known."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from operators.model.bundle_files import file_hash
from operators.records.contracts import Event
from operators.shopper.features import WINDOW
from operators.shopper.user_state import step

NOW_MS = 1_760_000_000_000


def event(number: int = 0, kind: str = "view", **fields: Any) -> Event:
    """A valid event; `number` gives id and time."""
    given = {
        "event_id": f"e{number}",
        "event_type": kind,
        "event_time": NOW_MS + number * 1000,
        "user_id": "u1",
        "item_id": None if kind in ("impression", "purchase", "consent", "search", "identify") else "i1",
    }
    return Event(**(given | fields))


def state_after(*events: Event) -> bytes:
    """The packed state after these events."""
    state = None
    for one in events:
        state = step(state, one).state
    assert state is not None
    return state


def viewed(*items: str) -> bytes:
    """The state of a user who viewed these items."""
    return state_after(*(event(number, item_id=item) for number, item in enumerate(items)))


def write_bundle(folder: Path, items: int = 8, *, nan_for: int | None = None, with_clicks: bool = False) -> Path:
    """A bundle of items i1 … in which item i after item j scores 1 / (1 + |i - j|), ties to the lower row.

    With `nan_for` the scores after that row are NaN, which golden inputs do not show. `with_clicks`: with a click head that
    corrects nothing, so that logits are the logs of the items' shares, and whose calibration gives these shares back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.arange(items + 1)
    table = (1 / (1 + np.abs(rows[:, None] - rows[None, 1:]))).astype(np.float32)
    if nan_for is not None:
        table[nan_for] = np.nan
    onnx.save(_graph(table, with_clicks), str(folder / "model.onnx"))
    golden = {
        "items": np.eye(2, WINDOW, dtype=np.int32),
        "kinds": np.eye(2, WINDOW, dtype=np.int32),
        "length": np.ones(2, dtype=np.int32),
    }
    golden["items"][1] = 0
    golden["items"][1, 0] = 2
    last = golden["items"][:, 0]
    best = np.argsort(-table[last], axis=1, kind="stable")
    golden["rows"] = (best + 1).astype(np.int32)
    golden["scores"] = np.take_along_axis(table[last], best, axis=1)
    arrays = {f"golden_{name}": value for name, value in golden.items()}
    vectors = np.stack([np.cos(rows / items), np.sin(rows / items)], axis=1).astype(np.float16)
    vectors[0] = 0
    near = np.stack([np.clip(rows + 1, 0, items), np.clip(rows - 1, 0, items)], axis=1)
    near[0] = 0
    near[near == rows[:, None]] = 0
    arrays |= {"vectors": vectors, "popular": rows[1:], "trending": rows[-1:], "neighbours": near}
    if with_clicks:
        logs = np.linspace(-6, 0, 601)
        arrays |= {"golden_clicks": np.zeros((2, 3), np.float32), "click_calibration": np.stack((logs, np.exp(logs)))}
    for name, value in arrays.items():
        np.save(folder / f"{name}.npy", value, allow_pickle=False)
    (folder / "items.json").write_text(json.dumps([f"i{row}" for row in rows[1:]]))
    write_manifest(folder)
    return folder


HANG_ITEM, RAISE_ITEM, NAN_ITEM = "i8", "i7", "i6"
HANG_TURNS = int(os.environ.get("HANG_TURNS", "8000000"))  # of an empty ONNX loop: about 6 s


def write_faulty_bundle(folder: Path) -> Path:
    """The known bundle whose graph hangs after `HANG_ITEM`, raises after `RAISE_ITEM` and gives NaN after `NAN_ITEM`."""
    write_bundle(folder, nan_for=6)
    model = onnx.load(str(folder / "model.onnx"))
    graph = model.graph
    constants = {
        "hang_row": np.array(8, np.int32),
        "raise_row": np.array(7, np.int32),
        "turns": np.array(HANG_TURNS, np.int64),
        "far": np.array(1_000_000, np.int32),
        "zero": np.array(0.0, np.float32),
        "start": np.array(0.0, np.float32),
        "go_on": np.array(True),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    turn = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on_in"], ["go_on_out"]),
            helper.make_node("Sin", ["value_in"], ["value_out"]),
        ],
        "turn",
        [
            helper.make_tensor_value_info("turn_number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value_in", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("go_on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value_out", TensorProto.FLOAT, []),
        ],
    )
    spoiled = [
        helper.make_node("Equal", ["last", "raise_row"], ["raises"]),
        helper.make_node("Cast", ["raises"], ["raises32"], to=TensorProto.INT32),
        helper.make_node("Mul", ["raises32", "far"], ["out_of_range"]),
        helper.make_node("Add", ["last", "out_of_range"], ["spoiled_last"]),
        helper.make_node("Equal", ["last", "hang_row"], ["hangs"]),
        helper.make_node("Cast", ["hangs"], ["hangs64"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["hangs64"], ["any_hangs"], keepdims=0),
        helper.make_node("Mul", ["any_hangs", "turns"], ["turns_now"]),
        helper.make_node("Loop", ["turns_now", "go_on", "start"], ["spent"], body=turn),
        helper.make_node("Mul", ["spent", "zero"], ["nothing"]),
        helper.make_node("Gather", ["table", "spoiled_last"], ["row"], axis=0),
        helper.make_node("Add", ["row", "nothing"], ["all"]),
    ]
    kept = [node for node in graph.node if node.output[0] != "all"]
    place = next(number for number, node in enumerate(kept) if node.op_type == "TopK")
    del graph.node[:]
    graph.node.extend(kept[:place] + spoiled + kept[place:])
    onnx.save(model, str(folder / "model.onnx"))
    write_manifest(folder)
    return folder


def write_manifest(folder: Path) -> None:
    """A manifest that fits the files as they are."""
    files = {file.name: file_hash(file) for file in folder.iterdir() if file.name != "manifest.json"}
    (folder / "manifest.json").write_text(json.dumps({"name": "known", "version": "1", "files": files}))


def _graph(table: np.ndarray, with_clicks: bool) -> onnx.ModelProto:
    """last item -> its row of `table` -> all items, best first; and a click vector of zeros."""
    batch = "B"
    inputs = [
        helper.make_tensor_value_info("items", TensorProto.INT32, [batch, WINDOW]),
        helper.make_tensor_value_info("kinds", TensorProto.INT32, [batch, WINDOW]),
        helper.make_tensor_value_info("length", TensorProto.INT32, [batch]),
    ]
    count = table.shape[1]
    outputs = [
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, count]),
        helper.make_tensor_value_info("rows", TensorProto.INT32, [batch, count]),
    ]
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([1], np.int64), "axis"),
        numpy_helper.from_array(np.array([count], np.int64), "k"),
        numpy_helper.from_array(np.array(1, np.int32), "one"),
    ]
    nodes = [
        helper.make_node("Sub", ["length", "one"], ["place"]),
        helper.make_node("Unsqueeze", ["place", "axis"], ["places"]),
        helper.make_node("GatherElements", ["items", "places"], ["lasts"], axis=1),
        helper.make_node("Squeeze", ["lasts", "axis"], ["last"]),
        helper.make_node("Gather", ["table", "last"], ["all"], axis=0),
        helper.make_node("TopK", ["all", "k"], ["scores", "found"], axis=1),
        helper.make_node("Cast", ["found"], ["found32"], to=TensorProto.INT32),
        helper.make_node("Add", ["found32", "one"], ["rows"]),
    ]
    if with_clicks:
        outputs.append(helper.make_tensor_value_info("clicks", TensorProto.FLOAT, [batch, 3]))
        constants.append(numpy_helper.from_array(np.zeros((len(table), 3), np.float32), "vectors"))
        nodes.append(helper.make_node("Gather", ["vectors", "last"], ["clicks"], axis=0))
    graph = helper.make_graph(nodes, "known", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
