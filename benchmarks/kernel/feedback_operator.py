"""What the feedback join costs the refresh operator and the list maker: `python -m benchmarks.kernel.feedback_operator`.

Views and clicks of 64 users in batches of 32, with lists of 20 items from a list maker that is asked once. CPU in us, the
median of rounds; with and without the join in turns, so that other work on the machine meets both.
"""

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from operators.configuration.shop_settings import EventSettings
from operators.lists.catalogue import Catalogue
from operators.lists.encoded_list import Encoded
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import EVENTS, Model
from operators.records.event_decode import EventDecoder
from operators.refresh.batch_scorer import LocalScorer
from operators.refresh.downstream import Downstream
from operators.refresh.feedback_outputs import FeedbackOutputs
from operators.refresh.micro_batcher import MicroBatcher
from operators.refresh.refresh_logic import RefreshLogic
from operators.refresh.refresh_records import InputRecord, Turn
from operators.refresh.refresh_sensors import NullRefreshSensors
from operators.settings import ListSettings, ScorerSettings

NOW_MS = 1_760_000_000_000
USERS, BATCH, ROUNDS, BATCHES = 64, 32, 41, 20
BUNDLE = Path(__file__).resolve().parents[2] / "models" / "online-retail"


class Side:
    """One of the two: operator and list maker with the join, or without."""

    def __init__(self, bundle: ModelBundle, *, joined: bool) -> None:
        scorer, catalogue = Scorer(bundle, ScorerSettings(provider="cpu")), Catalogue(bundle.vocabulary, 0.5)
        self._lists = ListMaker(bundle, scorer, catalogue, ListSettings(), lambda: NOW_MS, with_facts=joined)
        self._answers: dict[str, Encoded] = {}
        batcher: MicroBatcher[Request, Encoded] = MicroBatcher(
            LocalScorer(self._answer), max_batch=BATCH, max_waiting=4 * BATCH, deadline_s=5, clock=time.monotonic
        )
        self._batcher, self._states = batcher, dict[str, bytes]()
        self._logic = RefreshLogic(
            EventDecoder(EventSettings(max_age_days=36_500)),
            batcher,
            self._lists,
            EventSettings(),
            ScorerSettings(),
            time.time,
            NullRefreshSensors(),
            downstream=Downstream(FeedbackOutputs(lambda: Model(bundle.name, bundle.version)) if joined else None),
        )
        self._items = bundle.vocabulary.item_ids
        self._count = 0

    def _answer(self, requests: Sequence[Request]) -> list[Encoded | Exception]:
        for request in requests:
            if request.user_id not in self._answers:
                (made,) = self._lists.make_encoded([request])
                assert isinstance(made, Encoded)
                self._answers[request.user_id] = made
        return [self._answers[request.user_id] for request in requests]

    def operator_us(self, kind: str) -> float:
        """CPU of the operator for one event and its list."""
        spent = 0.0
        for _ in range(BATCHES):
            records = [self._record(kind) for _ in range(BATCH)]
            begin = time.process_time()
            self._states |= self._logic.on_batch([Turn(r.user, self._states.get(r.user), r) for r in records]).states
            spent += time.process_time() - begin
            self._batcher.run_once()
            begin = time.process_time()
            self._logic.on_batch([])
            spent += time.process_time() - begin
        return spent / (BATCH * BATCHES) * 1e6

    def maker_us(self) -> float:
        """CPU of the list maker for one list of a micro-batch."""
        requests = [Request(user, state, NOW_MS) for user, state in [*self._states.items()][:BATCH]]
        begin = time.process_time()
        for _ in range(BATCHES):
            self._lists.make_encoded(requests)
        return (time.process_time() - begin) / (len(requests) * BATCHES) * 1e6

    def _record(self, kind: str) -> InputRecord:
        self._count += 1
        user = f"user{self._count % USERS}"
        body = {"event_id": f"e{self._count}", "event_type": kind, "event_time": NOW_MS, "user_id": user}
        body |= {"item_id": self._items[self._count % 500], "recommendation_id": "f" * 32, "position": 3}
        return InputRecord(user, json.dumps(body).encode(), EVENTS, 0, self._count, NOW_MS, True)


def main() -> None:
    """Prints a row a figure."""
    bundle = ModelBundle.load(BUNDLE)
    sides = {"without": Side(bundle, joined=False), "with": Side(bundle, joined=True)}
    measures = {
        "operator: a view and its list": lambda side: side.operator_us("view"),
        "operator: a click and its list": lambda side: side.operator_us("click"),
        "list maker: a list": lambda side: side.maker_us(),
    }
    for name, measure in measures.items():
        figures: dict[str, list[float]] = {of: [] for of in sides}
        for number in range(ROUNDS):
            for of in sorted(sides, reverse=bool(number % 2)):
                figures[of].append(measure(sides[of]))
        medians = {of: statistics.median(values) for of, values in figures.items()}
        print(f"{name:<34} without the join {medians['without']:6.1f} us, with it {medians['with']:6.1f} us")


if __name__ == "__main__":
    main()
