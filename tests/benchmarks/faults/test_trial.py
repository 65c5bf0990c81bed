"""What a trial collects: strikes in their order, what was not read, watchers that fail."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaConnectionError, KafkaTimeoutError

from benchmarks.faults import observer
from benchmarks.faults.evidence import Strike, struck_now
from benchmarks.faults.fault import Fault
from benchmarks.faults.observer import JobWatcher, ListWatcher
from benchmarks.faults.oracle import Oracle
from benchmarks.faults.report import markdown, read_rows
from benchmarks.faults.trial import Plan, deleted, input_faults, strike_all
from benchmarks.faults.verdict import Verdict
from operators.settings import Settings
from tests.benchmarks.fakes import Consumer, Record, list_record

PLACE = TopicPartition("events", 0)


class Striker:
    """Does nothing and says so."""

    def inject(self, fault: Fault) -> Strike:
        return struck_now(fault.kind, "seen")


def strikes_of(plan: Plan) -> list[Strike]:
    return strike_all(plan, Striker(), time.monotonic())  # type: ignore[arg-type]


def test_strikes_come_in_the_order_in_which_they_struck() -> None:
    faults = [Fault("second", at_s=0.1), Fault("first", at_s=0.0)]
    strikes = strikes_of(
        Plan("x", faults, seconds=1, during=lambda started_s: Strike("between", "seen", started_s + 0.05, 0.0))
    )
    assert [strike.fault for strike in strikes] == ["first", "between", "second"]


def test_what_fails_beside_the_load_is_a_strike_without_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(started_s: float) -> None:
        raise LookupError("no TaskManager")

    (failed,) = strikes_of(Plan("x", seconds=1, during=fail))
    assert failed.doubt == "beside the load: LookupError('no TaskManager')"
    monkeypatch.setattr("benchmarks.faults.trial.DURING_S", 0.0)
    (hanging,) = strikes_of(Plan("x", seconds=0, during=lambda started_s: time.sleep(5)))
    assert hanging.doubt == "beside the load: it did not end"
    assert strikes_of(Plan("x", seconds=1, during=lambda started_s: None)) == strikes_of(Plan("x", seconds=1)) == []


def test_poison_and_duplicates_are_known_by_what_the_oracle_counts() -> None:
    oracle = Oracle(Settings(), [])
    plan = Plan("x", poison=0.01, duplicates=0.1)
    assert [strike.doubt for strike in input_faults(plan, oracle)] == [
        "poison: nothing shows that it struck", "duplicates: nothing shows that it struck"
    ]  # fmt: skip
    oracle.outcomes.update(dead=3, duplicate=4)
    assert [strike.evidence for strike in input_faults(plan, oracle)] == ["3 records", "4 records"]
    assert input_faults(Plan("x"), oracle) == []


@pytest.mark.parametrize(
    ("offsets", "removed"), [([5, 6, 7], 0), ([5, 6, 7, 8, 9], 0), ([6, 7], 1), ([5, 7], 1), ([], 3)]
)
def test_events_that_retention_removed_are_missed(offsets: list[int], removed: int) -> None:
    records = [Record(b"k", b"v", topic="events", offset=offset) for offset in offsets]
    assert deleted(records, {PLACE: 5}, {PLACE: 8}) == removed


# the watchers


class Ends:
    """A reader that says where the lists end."""

    end: int | Exception = 0

    def __init__(self, settings: Any) -> None:
        pass

    def ends(self, topic: str) -> dict[str, int]:
        if isinstance(self.end, Exception):
            raise self.end
        return {"lists-0": self.end}

    def close(self) -> None:
        pass


class AwayAfter:
    """Batches, then one poll that fails because the broker is away, then the other batches."""

    def __init__(self, *parts: Iterator[list[Record]]) -> None:
        self._parts = [*parts]

    def __iter__(self) -> "AwayAfter":
        return self

    def __next__(self) -> list[Record]:
        if (batch := next(self._parts[0], None)) is not None:
            return batch
        if len(self._parts) > 1:
            del self._parts[0]
            raise KafkaConnectionError
        raise StopIteration


def watched(monkeypatch: pytest.MonkeyPatch, batches: Iterator[list[Record]], end: int | Exception) -> ListWatcher:
    monkeypatch.setattr(observer, "consumer_at_end", lambda *_: Consumer(batches))
    monkeypatch.setattr(observer, "TopicReader", type("At", (Ends,), {"end": end}))
    return ListWatcher(Settings(), "t-")


def lists(count: int) -> list[Record]:
    return [list_record(f"t-{n}", 1, 1000) for n in range(count)]


def test_a_reader_that_reached_the_end_has_missed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = watched(monkeypatch, iter([lists(3), [], lists(2)]), 5)
    assert watcher.stop() == [] and len(watcher.view.arrivals) == 5


def test_a_reader_that_did_not_reach_the_end_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert watched(monkeypatch, iter([lists(3)]), 5).stop(0.3) == [
        "the reader did not reach the end of the lists: 2 records before it"
    ]


def test_a_reader_that_died_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    (reason,) = watched(monkeypatch, iter([lists(1), [Record(b"t-1", b"no json")], lists(3)]), 5).stop(5)
    assert "the reader of the lists failed" in reason and "JSON" in reason


def test_a_reader_bears_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = watched(monkeypatch, AwayAfter(iter([lists(1)]), iter([lists(2)])), 3)
    assert watcher.stop(5) == [] and len(watcher.view.arrivals) == 3


def test_an_end_that_nobody_knows_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    (reason,) = watched(monkeypatch, iter([lists(1)]), KafkaTimeoutError()).stop(5)
    assert "the end of the lists is not known" in reason


def test_a_watcher_of_the_job_that_died_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [[{"jid": "1"}], KeyError("vertices")]

    class Cluster:
        def __init__(self, url: str) -> None:
            pass

        def jobs(self, name: str) -> list[dict[str, str]]:
            answer = answers.pop(0) if answers else []
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[no-any-return]

        def running_tasks(self, job_id: str) -> bool:
            return True

        def close(self) -> None:
            pass

    monkeypatch.setattr(observer, "Cluster", Cluster)
    watcher = JobWatcher(Settings())
    time.sleep(0.5)
    assert watcher.stop() == ["the watcher of the job failed: KeyError('vertices')"]
    answers[:] = [[{"jid": "1"}]] * 100
    watcher = JobWatcher(Settings())
    time.sleep(0.1)
    assert watcher.stop() == [] and watcher.restarts == 0


# the report


def test_the_report_shows_what_is_unknown_and_what_struck(tmp_path: Path) -> None:
    rows = [
        {"name": "a", "delivery": "d", "events": 1000, "lost": 0, "recovery_s": None, "not_fresh_again": 1, "verdict": "broken",
         "struck": "kill a: pid 1 gone | then pid 2"},
        {"name": "b", "events": None, "lost": None, "twice": 0, "verdict": "unknown", "note": "n",
         "unknown": {"lost": "the end was not read", "fell": "the end was not read", "struck": "kill b: nothing"}},
        {"name": "c", "verdict": Verdict.NOT_RUN},
    ]  # fmt: skip
    page = markdown(rows, {}, {}, "machine").splitlines()
    head, a, b, c = ([cell.strip() for cell in page[n].strip("|").split("|")] for n in (2, 4, 5, 6))
    cells = {row[0]: dict(zip(head, row, strict=True)) for row in (a, b, c)}
    assert cells["a"]["kept"] == "NO" and cells["a"]["recovery s"] == "never" and cells["a"]["events"] == "1,000"
    assert cells["a"]["struck"] == "kill a: pid 1 gone / then pid 2"
    assert (
        cells["b"]["kept"] == cells["b"]["lost"] == cells["b"]["version fell"] == "unknown"
        and cells["b"]["events"] == ""
    )
    assert cells["b"]["note"] == "n; lost, fell unknown: the end was not read; struck unknown: kill b: nothing"
    assert cells["c"]["kept"] == "not run"
    file = tmp_path / "rows.jsonl"
    file.write_text('{"name": "a", "verdict": "kept"}\n{"name": "a", "verdict": "broken"}\n')
    assert read_rows(file) == [{"name": "a", "verdict": "broken"}]
