"""What a larger catalogue costs: a drain with bundles of more and more items, whose weights are of chance.

The time does not depend on the weights. Each has the demo's form: width 128, 20 steps, no heads. A larger catalogue has a
smaller backlog, so that each drain takes about as long.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from operators.errors import LiveshelfError

WIDTH, SESSIONS, STEPS = 128, 2_000, 6
AS_MANY_COST_TWICE = 20_000  # items; about
FEWEST = 6_000  # events


def measure(drained: Callable[[Path, int], dict[str, Any]], sizes: list[int], events: int) -> dict[str, Any]:
    """`drained(bundle, count)` serves a bundle and drains `count` events with it; the smallest catalogues have up to `events`.

    Raises `LiveshelfError` without the train extra, and where lists are missing.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for items in sizes:
            count = max(FEWEST, round(events / (1 + items / AS_MANY_COST_TWICE)))
            one = drained(bundle_of(items, Path(folder) / f"items-{items}"), count)
            if "cpu_s_per_1000" not in one:
                raise LiveshelfError(f"{count} lists", one["note"], "more --users, or liveshelf logs taskmanager-0")
            cpu = sum(used for part, used in one["cpu_s_per_1000"].items() if part.startswith("taskmanager"))
            found.append(
                {
                    "items": items,
                    "events": count,
                    "lists_per_s": one["lists_per_s"],
                    "taskmanager_cpu_s_per_1000": round(cpu, 3),
                }
            )
    return {
        "bench": "catalogues",
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
