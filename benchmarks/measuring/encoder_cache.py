"""What the encoder cache saves: `python -m benchmarks.measuring.encoder_cache`.

In one process and on one thread: CPU us a list of `ListMaker.make_encoded` with the served bundle, each way in turns. The full
pass with the bundle's first graph is what a bundle without an incremental graph costs. `cold`: no user is known; `warm`: each
user has one new step.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from operators.configuration.shop_settings import ListSettings
from operators.errors import LiveshelfError
from operators.lists.catalogue import Catalogue
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.model_bundle import INCREMENTAL, ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import Event
from operators.settings import ScorerSettings, load_settings
from operators.shopper.state_layout import stored
from operators.shopper.user_state import step

USERS, STEPS, ROUNDS = 128, (5, 20), 40
NOW_MS = 1_764_000_000_000


def makers(bundle: ModelBundle) -> dict[str, ListMaker]:
    """A list maker of each way."""
    files = {name: value for name, value in bundle.manifest["files"].items() if name != INCREMENTAL}
    without = replace(bundle, manifest=bundle.manifest | {"files": files})
    settings = ScorerSettings(provider="cpu", cache_check_every=0)
    ways = {
        "full pass, first graph": (without, settings),
        "full pass": (bundle, settings.model_copy(update={"cache_mb": 0})),
        "cached": (bundle, settings),
    }
    return {
        name: ListMaker(of, Scorer(of, scorer), Catalogue(of.vocabulary, 0.5), ListSettings(), lambda: NOW_MS)
        for name, (of, scorer) in ways.items()
    }


def histories(bundle: ModelBundle, steps: int, users: int, seed: int) -> tuple[list[Request], list[Request]]:
    """Requests of new users after all steps but the last, and after all."""
    drawing = np.random.default_rng(seed)
    before, after = [], []
    for user in range(users):
        state: bytes | None = None
        name = f"user-{seed}-{user}"
        for number, row in enumerate(drawing.integers(len(bundle.vocabulary), size=steps).tolist()):
            earlier = state
            seen_ms = NOW_MS - 1000 * (steps - number)
            item = bundle.vocabulary.item_ids[row]
            event = Event(event_id=f"{number}", event_type="view", event_time=seen_ms, user_id=name, item_id=item)
            state = step(state, event).state
        assert earlier is not None and state is not None
        before.append(Request(name, stored(earlier), NOW_MS))
        after.append(Request(name, stored(state), NOW_MS))
    return before, after


def measure(bundle: ModelBundle, users: int = USERS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Steps -> way -> CPU us a list: the best and the median of the rounds."""
    ways, table = makers(bundle), {}
    for steps in STEPS:
        times: dict[str, list[float]] = {}
        for number in range(rounds):
            before, after = histories(bundle, steps, users, number)
            times.setdefault("cached, cold", []).append(_cpu_us(ways["cached"], before))
            for name, lists in ways.items():
                times.setdefault(f"{name}, warm" if name == "cached" else name, []).append(_cpu_us(lists, after))
        table[f"{steps} steps"] = {
            name: {"best": round(min(of), 1), "median": round(float(np.median(of)), 1)} for name, of in times.items()
        }
    return table


def _cpu_us(lists: ListMaker, requests: Sequence[Request]) -> float:
    started = time.thread_time()
    lists.make_encoded(requests)
    return (time.thread_time() - started) / len(requests) * 1e6


def main() -> None:
    """Prints a line for each way. Raises `LiveshelfError` where the bundle has no incremental graph."""
    bundle = ModelBundle.load(Path(load_settings().bundle.path))
    if bundle.read_incremental() is None:
        raise LiveshelfError("a bundle with an incremental graph", bundle.name, "train one: `liveshelf train`")
    for steps, ways in measure(bundle).items():
        for name, us in ways.items():
            print(f"{steps}, {name}: best {us['best']} us a list, median {us['median']}")


if __name__ == "__main__":
    main()
