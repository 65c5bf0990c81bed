"""A shop whose shoppers go from each item to the next one, its model, and candidates that are spoiled in one way each."""

import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from operators.records.contracts import encode_record
from tests.builders import event, write_bundle, write_manifest

ITEMS = 200


def write_walks(file: Path, items: Sequence[int] = range(1, ITEMS + 1), users: int = 60, steps: int = 12) -> Path:
    """Each of the users views so many of the items in their order, from another one on."""
    views = [
        event(number * users + user, user_id=f"u{user}", item_id=f"i{items[(user * 7 + number) % len(items)]}")
        for number in range(steps)
        for user in range(users)
    ]
    file.write_bytes(b"".join(encode_record(view) + b"\n" for view in views))
    return file


def copied(bundle: Path, folder: Path) -> Path:
    shutil.copytree(bundle, folder)
    return folder


def with_items(bundle: Path, folder: Path, item_ids: list[str]) -> Path:
    """The bundle with another name for each row."""
    copied(bundle, folder)
    (folder / "items.json").write_text(json.dumps(item_ids))
    write_manifest(folder)
    return folder


def shuffled(bundle: Path, folder: Path, first: int = 1) -> Path:
    """The bundle with a shuffled item table, from item `first` on."""
    kept, mixed = [f"i{number}" for number in range(1, first)], [f"i{number}" for number in range(first, ITEMS + 1)]
    random.Random(5).shuffle(mixed)
    return with_items(bundle, folder, kept + mixed)


def with_scores(bundle: Path, folder: Path, factor: float, shift: float = 0) -> Path:
    """The bundle with all scores scaled; its golden scores too."""
    copied(bundle, folder)
    _edit_table(folder, lambda table: table * np.float32(factor) + np.float32(shift))
    return folder


def same_for_all(folder: Path) -> Path:
    """A bundle that gives everybody the list that follows the first item."""
    write_bundle(folder, ITEMS)
    _edit_table(folder, lambda table: np.broadcast_to(table[1], table.shape).copy())
    return folder


def _edit_table(folder: Path, edited: Callable[[Any], Any]) -> None:
    model = onnx.load(str(folder / "model.onnx"))
    place = next(place for place, tensor in enumerate(model.graph.initializer) if tensor.name == "table")
    table = edited(numpy_helper.to_array(model.graph.initializer[place]))
    model.graph.initializer[place].CopyFrom(numpy_helper.from_array(table, "table"))
    onnx.save(model, str(folder / "model.onnx"))
    last = np.load(folder / "golden_items.npy")[:, 0]
    best = np.argsort(-table[last], axis=1, kind="stable")
    np.save(folder / "golden_rows.npy", (best + 1).astype(np.int32))
    np.save(folder / "golden_scores.npy", np.take_along_axis(table[last], best, axis=1))
    write_manifest(folder)


def busy(bundle: Path, folder: Path, turns: int = 5000) -> Path:
    """The bundle with an empty loop in its graph: the same answers, much later."""
    copied(bundle, folder)
    model = onnx.load(str(folder / "model.onnx"))
    ends = [("go", TensorProto.BOOL), ("value", TensorProto.FLOAT)]
    before, after = (
        [helper.make_tensor_value_info(name + end, kind, []) for name, kind in ends] for end in ("_in", "_out")
    )
    turn = helper.make_graph(
        [helper.make_node("Identity", ["go_in"], ["go_out"]), helper.make_node("Sin", ["value_in"], ["value_out"])],
        "turn",
        [helper.make_tensor_value_info("number", TensorProto.INT64, []), *before],
        after,
    )
    constants: dict[str, Any] = {
        "turns": np.array(turns, np.int64),
        "start": np.array(0, np.float32),
        "go": np.array(True),
    }
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    place = next(place for place, node in enumerate(model.graph.node) if node.op_type == "TopK")
    model.graph.node[place].input[0] = "all_later"
    nodes = [
        helper.make_node("Loop", ["turns", "go", "start"], ["spent"], body=turn),
        helper.make_node("Add", ["all", "spent"], ["all_later"]),
    ]
    for node in reversed(nodes):
        model.graph.node.insert(place, node)
    onnx.save(model, str(folder / "model.onnx"))
    write_manifest(folder)
    return folder
