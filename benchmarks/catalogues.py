"""What a larger catalogue costs: a drain with bundles of more and more items, whose weights are of chance.

The time does not depend on the weights. Each has the demo's form: width 128, 20 steps, no heads.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from operators.errors import LiveshelfError

WIDTH, SESSIONS, STEPS = 128, 2_000, 6


def measure(drained: Callable[[Path], dict[str, Any]], sizes: list[int], count: int) -> dict[str, Any]:
    """`drained(bundle)` serves a bundle and drains `count` events with it. Raises `LiveshelfError` without the train extra, and
    where lists are missing."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for items in sizes:
            one = drained(bundle_of(items, Path(folder) / f"items-{items}"))
            if "cpu_s_per_1000" not in one:
                raise LiveshelfError(f"{count} lists", one["note"], "more --users, or liveshelf logs taskmanager-0")
            cpu = sum(used for part, used in one["cpu_s_per_1000"].items() if part.startswith("taskmanager"))
            found.append(
                {"items": items, "lists_per_s": one["lists_per_s"], "taskmanager_cpu_s_per_1000": round(cpu, 3)}
            )
    return {
        "bench": "catalogues",
        "events": count,
        "sizes": found,
        "ratios": {
            f"lists/s at {one['items']} items to {sizes[0]}": round(one["lists_per_s"] / found[0]["lists_per_s"], 3)
            for one in found[1:]
        },
        "machine": describe(),
    }


def bundle_of(items: int, folder: Path) -> Path:
    """A bundle of so many items that knows nothing."""
    try:
        from model_export.bundles.export import export_bundle
        from model_export.data.sessions import learned
        from model_export.models.encoders import build
    except ImportError as error:
        raise LiveshelfError("torch and onnx, which make the bundles", str(error), "make train-deps") from error
    from operators.features import WINDOW, Vocabulary

    words = Vocabulary([f"item-{number}" for number in range(items)])
    drawn = np.random.default_rng(7).integers(0, items, (SESSIONS, STEPS))
    examples = learned([[f"item-{number}" for number in row] for row in drawn], words, WINDOW)
    model = build("weighted-sum", items, WIDTH, 0.0, WINDOW, 16.0)
    model.silence()
    model.freeze()
    export_bundle(model, words, examples, examples, folder, {"name": folder.name})
    return folder
