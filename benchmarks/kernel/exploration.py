"""What exploration costs the list maker, and a computation of the pool: `python -m benchmarks.kernel.exploration`.

Micro-batches of 128 shoppers of 1 to 20 steps with the demo's bundle. CPU in us, the median of rounds; list makers without
exploration, with known items alone, and with newcomers too, in turns, so that other work on the machine meets all.
"""

import statistics
import time
from pathlib import Path

import numpy as np

from operators.configuration.shop_settings import ExplorationSettings, ListSettings
from operators.exploration.likes import Likes
from operators.exploration.live_pool import LivePool
from operators.exploration.pool import Newcomer, Pool
from operators.exploration.thompson import chances, fitted_prior
from operators.lists.availability import is_offered
from operators.lists.catalogue import Catalogue
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import CatalogueItem, Event
from operators.settings import ScorerSettings
from operators.shopper.user_state import step

NOW_MS = 1_760_000_000_000
BATCH, ROUNDS, BATCHES = 128, 15, 4
BUNDLE = Path(__file__).resolve().parents[2] / "models" / "online-retail"


def pool_of(bundle: ModelBundle, newcomers: int) -> Pool:
    """All known items without an impression, and so many newcomers."""
    generator = np.random.default_rng(1)
    likes = generator.integers(1, len(bundle.vocabulary) + 1, (newcomers, 8)).tolist()
    return Pool(0.05, b"", b"", tuple(Newcomer(f"new{n}", 0.05, tuple(rows)) for n, rows in enumerate(likes)))


def requests_of(bundle: ModelBundle) -> list[Request]:
    """Shoppers of 1 to 20 views."""
    generator, made = np.random.default_rng(2), list[Request]()
    for user in range(BATCH):
        state: bytes | None = None
        for number, item in enumerate(generator.integers(0, len(bundle.vocabulary), 1 + user % 20).tolist()):
            event = Event(
                event_id=f"{user}-{number}",
                event_type="view",
                event_time=NOW_MS,
                user_id=f"u{user}",
                item_id=bundle.vocabulary.item_ids[item],
            )
            state = step(state, event).state
        made.append(Request(f"u{user}", state or b"", NOW_MS))
    return made


def maker(bundle: ModelBundle, pool: Pool | None) -> ListMaker:
    """A list maker; without exploration where there is no pool."""
    return ListMaker(
        bundle,
        Scorer(bundle, ScorerSettings(provider="cpu")),
        Catalogue(bundle.vocabulary, 0.5),
        ListSettings(),
        lambda: NOW_MS,
        with_facts=True,
        exploration=None if pool is None else ExplorationSettings(enabled=True),
        pool=lambda: pool,
    )


def list_us(lists: ListMaker, requests: list[Request]) -> float:
    """CPU of one list."""
    begin = time.process_time()
    for _ in range(BATCHES):
        lists.make_encoded(requests)
    return (time.process_time() - begin) / (BATCH * BATCHES) * 1e6


def pool_ms(bundle: ModelBundle) -> tuple[float, float]:
    """CPU of computing the pool with 1,000 newcomers, and of the chances of 50,000 items."""
    catalogue = Catalogue(bundle.vocabulary, 0.5)
    live = LivePool(
        bundle.vocabulary, Likes(bundle, catalogue.alike, lambda: bundle.popular), 200, 86_400_000, is_offered
    )
    for number in range(1000):
        live.item_changed(f"new{number}", CatalogueItem(item_id=f"new{number}", title=f"red mug {number}"))
    for _ in range(100):
        live.compute()  # likes
    begin = time.process_time()
    live.compute()
    computed = time.process_time()
    generator = np.random.default_rng(3)
    impressions = generator.integers(0, 200, 50_000).astype(np.float64)
    clicks = generator.binomial(impressions.astype(np.int64), 0.03).astype(np.float64)
    chances(impressions, clicks, fitted_prior(impressions, clicks))
    return (computed - begin) * 1e3, (time.process_time() - computed) * 1e3


def main() -> None:
    """Prints a row a figure."""
    bundle = ModelBundle.load(BUNDLE)
    requests = requests_of(bundle)
    sides = {"off": maker(bundle, None), "known items": maker(bundle, pool_of(bundle, 0))}
    sides |= {f"{count} newcomers": maker(bundle, pool_of(bundle, count)) for count in (10, 256)}
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(ROUNDS):
        for name in sorted(sides, reverse=bool(number % 2)):
            figures[name].append(list_us(sides[name], requests))
    off = statistics.median(figures["off"])
    for name, values in figures.items():
        over = statistics.median(value - base for value, base in zip(values, figures["off"], strict=True))
        print(f"a list, {name:<16} {statistics.median(values):6.1f} us, {over:+5.1f} us of {off:.1f}")
    print("the pool, 1,000 newcomers {:.1f} ms; chances of 50,000 items {:.1f} ms".format(*pool_ms(bundle)))


if __name__ == "__main__":
    main()
