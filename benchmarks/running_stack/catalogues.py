"""What a larger catalogue costs: a drain with bundles of more and more items, whose weights are of chance.

The time does not depend on the weights. Each has the demo's form: width 128, 20 steps, no heads. A larger catalogue has a
smaller backlog, so that each drain takes about as long.
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
KNOWN = 1_000
AS_MANY_COST_TWICE = 20_000  # items; about
FEWEST = 6_000  # events


def measure(drained: Callable[[Path, int], dict[str, Any]], sizes: list[int], events: int) -> dict[str, Any]:
    """`drained(bundle, count)` serves a bundle and drains `count` events with it; the smallest catalogues have up to `events`.

    Raises `LiveshelfError` without the train extra.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for items in sizes:
            count = max(FEWEST, round(events / (1 + items / AS_MANY_COST_TWICE)))
            row = drained(bundle_of(items, Path(folder) / f"items-{items}"), count)
            tasks = [used for part, used in row["cpu_s_per_1000"].items() if part.startswith("taskmanager")]
            rows.append(
                {
                    "items": items,
                    "events": count,
                    "lists_per_s": row["lists_per_s"],
                    "taskmanager_cpu_s_per_1000": total(tasks, 3),
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
    """A bundle of so many items that knows nothing: a small one, grown, for the exporter needs hours and 24 GB for a million."""
    try:
        from model_export.bundles.bundle_folder import new_bundle, write_manifest
        from model_export.bundles.export import CANDIDATES, NEIGHBOURS, export_bundle, run_graph
        from model_export.data.sessions import session_examples
        from model_export.models.encoders import build
    except ImportError as error:
        raise LiveshelfError("torch and onnx, which make the bundles", str(error), "make train-deps") from error
    from benchmarks.models.sized_graph import sized
    from operators.model.model_bundle import ModelBundle
    from operators.model.scorer import INPUTS
    from operators.shopper.features import WINDOW, Vocabulary

    words, drawing = Vocabulary([f"item-{number}" for number in range(KNOWN)]), np.random.default_rng(7)
    sessions = [[f"item-{number}" for number in row] for row in drawing.integers(0, KNOWN, (SESSIONS, STEPS))]
    examples = session_examples(sessions, words, WINDOW)
    model = build("weighted-sum", KNOWN, WIDTH, 0.0, WINDOW, 16.0)
    model.silence()
    model.freeze()
    small = folder.with_name(f"{folder.name}-small")
    manifest = export_bundle(model, words, examples, examples, small, {"name": folder.name})
    golden = {name: ModelBundle.load(small).golden[name] for name in INPUTS}
    with new_bundle(folder) as aside:
        sized(small / "model.onnx", KNOWN, items, aside / "model.onnx", CANDIDATES)
        scores, rows = run_graph(aside / "model.onnx", golden)
        arrays = {
            "vectors": drawing.standard_normal((items + 1, WIDTH), dtype=np.float32).astype(np.float16),
            "popular": (drawing.permutation(items) + 1).astype(np.int32),
            "trending": np.arange(1, 101, dtype=np.int32),
            "neighbours": drawing.integers(1, items + 1, (items + 1, NEIGHBOURS), dtype=np.int32),
            **{f"golden_{name}": given for name, given in golden.items()},
            "golden_scores": scores,
            "golden_rows": rows,
        }
        for name, values in arrays.items():
            np.save(aside / f"{name}.npy", values, allow_pickle=False)
        (aside / "items.json").write_text(json.dumps([f"item-{number}" for number in range(items)]))
        facts = {name: value for name, value in manifest.items() if name not in ("version", "created", "files")}
        write_manifest(aside, facts | {"items": items})
    return folder
