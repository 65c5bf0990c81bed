"""Measures the cost of a larger catalogue: drains with bundles of growing numbers of items and random weights.

The time does not depend on the weights. Each bundle has the demo's shape: width 128, 20 steps, no heads. A larger
catalogue gets a smaller backlog, so that all drains take about the same time.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import ratio, total
from operators.errors import LiveshelfError

WIDTH, SESSIONS, STEPS = 128, 2_000, 6
SMALL_ITEMS = 1_000
ITEMS_OF_DOUBLE_COST = 20_000  # a list with so many items costs about twice as much as with few
MIN_EVENTS = 6_000  # events


def measure(drain_bundle: Callable[[Path, int], dict[str, Any]], sizes: list[int], events: int) -> dict[str, Any]:
    """A drain for each size. `drain_bundle(bundle, count)` serves a bundle and drains `count` events, at most `events`.

    Raises `LiveshelfError` without the train extra.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for items in sizes:
            count = max(MIN_EVENTS, round(events / (1 + items / ITEMS_OF_DOUBLE_COST)))
            row = drain_bundle(bundle_of(items, Path(folder) / f"items-{items}"), count)
            cpu_of_tasks = [cpu_s for part, cpu_s in row["cpu_s_per_1000"].items() if part.startswith("taskmanager")]
            rows.append(
                {
                    "items": items,
                    "events": count,
                    "lists_per_s": row["lists_per_s"],
                    "taskmanager_cpu_s_per_1000": total(cpu_of_tasks, 3),
                }
            )
    return {
        "bench": "catalogues",
        "sizes": rows,
        "ratios": {
            f"lists/s at {row['items']} items to {sizes[0]}": ratio(row["lists_per_s"], rows[0]["lists_per_s"])
            for row in rows[1:]
        },
        "machine": describe(),
    }


def bundle_of(items: int, folder: Path) -> Path:
    """An untrained bundle, made from a small one: for a million items the exporter needs hours and 24 GB."""
    try:
        from model_export.bundles.bundle_folder import new_bundle, write_manifest
        from model_export.bundles.export import NEIGHBOURS, export_bundle, run_graph
        from model_export.data.sessions import session_examples
        from model_export.models.click_head import CANDIDATES
        from model_export.models.encoders import build
    except ImportError as error:
        raise LiveshelfError("torch and onnx, which make the bundles", str(error), "make train-deps") from error
    from benchmarks.models.sized_graph import sized
    from operators.model.model_bundle import ModelBundle
    from operators.model.scorer import INPUTS
    from operators.shopper.features import WINDOW, Vocabulary

    words, drawing = Vocabulary([f"item-{number}" for number in range(SMALL_ITEMS)]), np.random.default_rng(7)
    sessions = [[f"item-{number}" for number in row] for row in drawing.integers(0, SMALL_ITEMS, (SESSIONS, STEPS))]
    examples = session_examples(sessions, words, WINDOW)
    model = build("weighted-sum", SMALL_ITEMS, WIDTH, 0.0, WINDOW, 16.0)
    model.silence()
    model.freeze()
    small = folder.with_name(f"{folder.name}-small")
    manifest = export_bundle(model, words, examples, examples, small, {"name": folder.name})
    golden = {name: ModelBundle.load(small).golden[name] for name in INPUTS}
    with new_bundle(folder) as part_folder:
        sized(small / "model.onnx", SMALL_ITEMS, items, part_folder / "model.onnx", CANDIDATES)
        scores, rows = run_graph(part_folder / "model.onnx", golden)
        arrays = {
            "vectors": drawing.standard_normal((items + 1, WIDTH), dtype=np.float32).astype(np.float16),
            "popular": (drawing.permutation(items) + 1).astype(np.int32),
            "trending": np.arange(1, 101, dtype=np.int32),
            "neighbours": drawing.integers(1, items + 1, (items + 1, NEIGHBOURS), dtype=np.int32),
            **{f"golden_{name}": inputs for name, inputs in golden.items()},
            "golden_scores": scores,
            "golden_rows": rows,
        }
        for name, values in arrays.items():
            np.save(part_folder / f"{name}.npy", values, allow_pickle=False)
        (part_folder / "items.json").write_text(json.dumps([f"item-{number}" for number in range(items)]))
        facts = {name: value for name, value in manifest.items() if name not in ("version", "created", "files")}
        write_manifest(part_folder, facts | {"items": items})
    return folder
