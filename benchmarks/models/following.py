"""What following is worth on the demo's shop: `python -m benchmarks.models.following [--rounds N]`.

The demo's bundle has learned the orders until 2011-11-09. Rounds of weights follow the last month, each after `DAYS` more
days. Both bundles, the one that followed and the one that stayed, answer the questions of the days after each round, which
neither has learned, and those of an old window.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.models.latest_bundle import LatestBundle
from model_export.data.dataset import examples
from model_export.data.online_retail import LAST_MONTH, catalogue, events
from model_export.data.splits import drawn_questions
from model_export.evaluation.served import Served
from model_export.follow.candidate import RoundOptions
from model_export.follow.follower import Follower, Portion
from model_export.follow.following import line_of
from model_export.follow.history import History
from model_export.follow.learned import WindowSize
from model_export.follow.window_files import JudgeGate
from model_export.measures.ranking_metrics import percent, summary
from operators.configuration.shop_settings import EventSettings, GateLimits
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import CATALOGUE, EVENTS, Event, encode_record
from operators.time_units import DAY_MS

BUNDLE = Path("models/online-retail")
HISTORY_DAYS, DAYS, QUESTIONS = 28, 7, 3000
LIMITS = EventSettings()


class Orders:
    """The orders as topics of one partition each, up to a moment that the benchmark moves."""

    def __init__(self, orders: Sequence[Event]) -> None:
        self._events = [
            _record(EVENTS, n, e.user_id, encode_record(e), int(e.event_time)) for n, e in enumerate(orders)
        ]
        self._offers = [_record(CATALOGUE, n, i.item_id, encode_record(i), 0) for n, i in enumerate(catalogue())]
        self.until_ms = 0

    def read(self, offsets: Any) -> Iterator[Portion]:
        """As `Topics`."""
        start = offsets.get(EVENTS, {}).get(0, 0)
        records = [record for record in self._events[start:] if record.timestamp < self.until_ms]
        for first in range(0, len(records), 20_000):
            portion = records[first : first + 20_000]
            yield portion, {EVENTS: {0: portion[-1].offset + 1}}

    def ids(self) -> dict[str, str]:
        """As `Topics`."""
        return {}

    @property
    def lost(self) -> dict[str, int]:
        """As `Topics`."""
        return {}

    def changed_offers(self) -> list[Any]:
        """As `Topics`."""
        offers, self._offers = self._offers, []
        return offers


def _record(topic: str, offset: int, key: str, value: bytes, time_ms: int) -> Any:
    return SimpleNamespace(topic=topic, partition=0, offset=offset, key=key.encode(), value=value, timestamp=time_ms)


def quality(folder: Path, orders: Sequence[Event], from_ms: int, to_ms: int) -> dict[str, float]:
    """P@20 and MRR@20 in % of the served bundle on the questions of a window; an unknown item is left out."""
    bundle = ModelBundle.load(folder)
    asked = examples(
        [e for e in orders if int(e.event_time) < to_ms], bundle.vocabulary, LIMITS, bundle.window, bundle.hop
    )
    questions = drawn_questions(asked.where(asked.time_ms >= from_ms), QUESTIONS, 7)
    return percent(summary(np.asarray(Served(bundle).ranks(questions.features, questions.target))))


def main() -> None:
    """Prints a line for each round, and the metrics of both bundles after it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--half-life-hours", type=float, default=RoundOptions.half_life_hours)
    given = parser.parse_args()
    torch.set_num_threads(1)
    orders = list(events(start_ms=LAST_MONTH - HISTORY_DAYS * DAY_MS))
    topics, serving = Orders(orders), LatestBundle(BUNDLE)
    with tempfile.TemporaryDirectory() as work:
        history = History(Path(work) / "history", 200_000, LIMITS)
        follower = Follower(
            Path(work) / "bundles",
            history,
            topics,
            serving,
            JudgeGate(GateLimits(), LIMITS, Path(work)),
            RoundOptions(
                LIMITS,
                half_life_hours=given.half_life_hours,
                least=WindowSize(GateLimits().min_questions, GateLimits().min_users),
            ),
        )
        for number in range(1, given.rounds + 1):
            topics.until_ms = LAST_MONTH + number * DAYS * DAY_MS
            started = time.process_time()
            follower.read()
            outcome = follower.round("weights", topics.until_ms)
            print(f"{line_of(outcome)}; {time.process_time() - started:.0f} s of CPU", flush=True)
            for name, span_ms in (
                ("the next days", (topics.until_ms, topics.until_ms + DAYS * DAY_MS)),
                ("an old window", (LAST_MONTH - 7 * DAY_MS, LAST_MONTH)),
            ):
                stayed, followed = (quality(folder, orders, *span_ms) for folder in (BUNDLE, serving.champion()))
                print(f"  {name}: stayed {stayed}, followed {followed}", flush=True)
        history.close()


if __name__ == "__main__":
    main()
