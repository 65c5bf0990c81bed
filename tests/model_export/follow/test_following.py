"""When rounds are due, and what a following trainer says of them."""

import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from model_export.follow.candidate import Candidate
from model_export.follow.follow_metrics import FollowMetrics
from model_export.follow.follower import Outcome
from model_export.follow.following import Cadences, line_of, run_rounds
from operators.errors import BrokerError
from operators.records.contracts import EVENTS

MANIFEST = {"version": "20261128.231501", "items": 41}
TRAINED: Any = Candidate(Path(), MANIFEST, None, new=12, replayed=10, joined=2, left=1)  # type: ignore[arg-type]


class Clock:
    """Seconds that pass when someone waits."""

    def __init__(self, until_s: float) -> None:
        self.now_s, self._until_s, self._stopped = 0.0, until_s, threading.Event()

    def __call__(self) -> float:
        return self.now_s

    def is_set(self) -> bool:
        return self.now_s >= self._until_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


class FakeFollower:
    def __init__(self, clock: Clock, failing: int = 0) -> None:
        self.rounds, self.reads, self._clock, self._failing = list[tuple[str, float]](), 0, clock, failing
        self.trained: float | None = None

    def trained_s(self) -> float | None:
        return self.trained

    def weights_s(self) -> float:
        return 77.0

    @property
    def lost(self) -> dict[str, int]:
        return {EVENTS: 3}

    def read(self) -> None:
        self.reads += 1
        if self.reads <= self._failing:
            raise BrokerError("the broker", "no answer", "wait", retriable=True)

    def round(self, kind: str, now_ms: int) -> Outcome:
        self.rounds.append((kind, self._clock.now_s))
        return Outcome(kind, TRAINED, True, ["open"], 4.2)  # type: ignore[arg-type]


def run(clock: Clock, follower: FakeFollower, lines: list[str] | None = None) -> FollowMetrics:
    metrics = FollowMetrics(19290, None, weights_every_s=1000)
    history: Any = SimpleNamespace(event_count=7, counts=Counter(event=7))
    log = (lines if lines is not None else []).append
    run_rounds(follower, history, Cadences(300, 1000), clock, metrics, log, clock)  # type: ignore[arg-type]
    metrics.close()
    return metrics


def test_light_rounds_come_often_and_weights_at_a_longer_cadence() -> None:
    clock = Clock(until_s=2100)
    follower = FakeFollower(clock)
    metrics = run(clock, follower)
    assert follower.rounds[:7] == [
        ("light", 300), ("light", 600), ("light", 900), ("light", 1000), ("weights", 1000), ("light", 1300), ("light", 1600),
    ]  # fmt: skip
    assert (
        metrics.registry.get_sample_value("liveshelf_train_rounds_total", {"kind": "weights", "verdict": "promoted"})
        == 2
    )
    assert metrics.registry.get_sample_value("liveshelf_train_new_examples") == 12
    values = metrics.registry.get_sample_value
    assert values("liveshelf_train_records_total", {"what": "event"}) == 7
    assert values("liveshelf_train_lost_records_total", {"topic": EVENTS}) == 3
    assert values("liveshelf_train_weights_timestamp_seconds") == 77
    assert values("liveshelf_train_weights_every_seconds") == 1000


def test_a_restart_does_not_put_off_the_weights() -> None:
    clock = Clock(until_s=1010)
    clock.now_s = 900
    follower = FakeFollower(clock)
    follower.trained = -50.0
    run(clock, follower)
    assert follower.rounds == [("light", 950), ("weights", 950)], "weights are compared with the newest counts"


def test_a_round_that_fails_is_tried_again_and_said() -> None:
    clock, lines = Clock(until_s=350), list[str]()
    follower = FakeFollower(clock, failing=2)
    metrics = run(clock, follower, lines)
    assert follower.rounds == [("light", 320)] and len(lines) == 3 and "no answer" in lines[0]
    assert (
        metrics.registry.get_sample_value("liveshelf_train_rounds_total", {"kind": "light", "verdict": "failed"}) == 2
    )


def test_what_stands_still_is_counted_until_it_goes_on() -> None:
    metrics = FollowMetrics(19290, None)

    def counted(*verdicts: str) -> tuple[float | None, ...]:
        for verdict in verdicts:
            if verdict == "failed":
                metrics.failed("weights")
            else:
                candidate = None if verdict == "waited" else TRAINED
                metrics.ended(Outcome("weights", candidate, verdict == "promoted", [], 1.0), 5.0)
        names = ("refused_rounds", "failed_rounds")
        return tuple(metrics.registry.get_sample_value(f"liveshelf_train_{name}") for name in names)

    assert counted("refused", "failed", "refused", "waited") == (2, 0), "a round that waits says nothing of the gate"
    assert counted("failed", "failed") == (2, 2)
    metrics.ended(Outcome("light", TRAINED, True, [], 1.0), 5.0)
    assert counted() == (2, 0), "a light round teaches no weights"
    assert counted("promoted") == (0, 0)
    metrics.close()


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (
            Outcome("weights", TRAINED, True, ["better"], 41.4),
            "round weights: promoted 20261128.231501, 12 new and 10 replayed examples, 41 items (+2 -1), 41 s; better",
        ),
        (
            Outcome("light", TRAINED, False, ["worse"], 4.0),
            "round light: refused 20261128.231501, 41 items (+2 -1), 4 s; worse",
        ),
        (
            Outcome("light", TRAINED, False, ["held after a rollback", "open"], 4.0, held=True),
            "round light: held 20261128.231501, 41 items (+2 -1), 4 s; held after a rollback; open",
        ),
        (Outcome("light", None, False, ["too few"], 0.1), "round light: waited, too few"),
    ],
)
def test_a_round_is_one_line(outcome: Outcome, line: str) -> None:
    assert line_of(outcome) == line
