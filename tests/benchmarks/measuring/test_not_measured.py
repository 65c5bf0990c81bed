"""Every benchmark of the running stack, with a stack that does not do its part: null and a reason, exit code 1, and no 0.0."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.measuring import load
from benchmarks.measuring.load import Load, publish, rate_violations, report_of
from benchmarks.measuring.measured import NotMeasured, as_json
from benchmarks.peers import contest
from benchmarks.running_stack import coalesced, freshness, idle, scale, short, state, storefront, sustain
from benchmarks.running_stack.short import Reading, figures_between, medians, ratios_of
from operators.errors import BrokerError, ClusterError, StackError
from operators.settings import Settings
from tests.benchmarks.fakes import Cluster, Consumer, Generator, Record, list_record, parts, sent
from tests.benchmarks.reasons import reasons

# the load


def test_a_load_says_whether_it_kept_its_rate() -> None:
    assert rate_violations(sent(100), 100) == []
    assert rate_violations(sent(0), 100) == ["the load generator sent nothing"]


def test_a_load_that_died_is_an_error() -> None:
    unreachable = Load(client={"bootstrap_servers": ["127.0.0.1:1"], "api_version_auto_timeout_ms": 300}, items=["i"],
                       count=1, rate=0, users=1, tag="t", patience_s=0.5)  # fmt: skip
    with pytest.raises(BrokerError, match="exit 1"):
        report_of(load.in_the_background(unreachable))


def test_a_backlog_that_is_not_whole_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    order = Load(client={}, items=["i"], count=10, rate=0, users=1, tag="t")
    for report in (sent(10, failed=1), sent(9)):
        monkeypatch.setattr(load, "run", lambda _, report=report: report)
        with pytest.raises(BrokerError, match="10 events published"):
            publish(order)


# sustain


def trial(rate: int, sustained: bool | None) -> dict[str, Any]:
    return {
        "rate": rate,
        "sustained": sustained,
        "unknown": ["the load generator fell behind"] if sustained is None else [],
    }


def test_the_highest_rate_lies_below_one_that_did_not_hold() -> None:
    assert sustain.highest([trial(100, True), trial(300, False), trial(200, True), trial(250, False)]) == 200
    assert "no rate held, 100 events/s" in str(sustain.highest([trial(200, False), trial(100, False)]))
    assert "every rate held, 300 events/s too" in str(sustain.highest([trial(200, True), trial(300, True)]))
    unknown = sustain.highest([trial(100, True), trial(300, False), trial(200, None)])
    assert unknown == NotMeasured("100 events/s held, and at 200 the load generator fell behind")


@pytest.mark.parametrize(
    ("lists", "report", "stack", "sustained"),
    [
        (1000, sent(1000), parts(), True),
        (899, sent(1000), parts(), False),
        (1000, sent(1000, late_ms=2000.0), parts(), None),
        (1000, sent(1000), parts("the job was restarted"), None),
        (1000, sent(1000), parts(model=900, popular=100), False),
    ],
)
def test_a_trial_shows_something_only_where_its_rate_was_offered(
    monkeypatch: pytest.MonkeyPatch, lists: int, report: dict[str, float], stack: Any, sustained: bool | None
) -> None:
    counts = iter([0, lists])
    monkeypatch.setattr(sustain, "in_the_background", lambda _: Generator(report))
    monkeypatch.setattr(sustain, "_settle", lambda _: None)
    row = sustain._trial(Settings(), ["i"], lambda: next(counts), stack, 100, 10)
    assert row["sustained"] is sustained


# the storefront, idle, and few shoppers


class Counts:
    """Written lists that rise by a step a look."""

    def __init__(self, step: int) -> None:
        self._step, self._now = step, 0

    def __enter__(self) -> "Counts":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self) -> int:
        self._now += self._step
        return self._now


WRK = {"requests_per_s": 1000.0, "latency_ms": {"p50": 1.0, "p99": 2.0}, "failed": 0, "timed_out": 0}


@pytest.mark.parametrize(
    ("wrk", "lists", "violation", "expected"),
    [
        ({"failed": 3}, 10_000, "", "3 answers were errors"),
        ({"timed_out": 2}, 10_000, "", "2 requests had no answer"),
        ({"requests_per_s": 0.0}, 10_000, "", "no look-up was answered"),
        ({}, 0, "", "0 lists/s flowed in instead of 100"),
        ({}, 10_000, "storefront was restarted", "storefront was restarted"),
    ],
)
def test_look_ups_that_were_errors_or_met_no_lists_are_not_measured(
    monkeypatch: pytest.MonkeyPatch, wrk: dict[str, Any], lists: int, violation: str, expected: str
) -> None:
    monkeypatch.setattr(storefront, "in_the_background", lambda _: Generator(sent(500)))
    known_load = Load(client={}, items=["i"], count=0, rate=0, users=5, tag="t")
    # not `time.sleep` itself: the threads of other tests would never rest
    monkeypatch.setattr(storefront, "time", SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic))

    def measure_with(wrk: dict[str, Any], lists: int, *violation: str) -> dict[str, Any]:
        monkeypatch.setattr(storefront, "RecordCount", lambda _: Counts(lists))
        monkeypatch.setattr(storefront, "_wrk", lambda *_: WRK | wrk)
        return storefront.measure(Settings(), ["i"], parts(*violation), 100, 5, known_load)

    assert measure_with({}, 10_000)["requests_per_s"] == 1000.0
    result = measure_with(wrk, lists, *filter(None, [violation]))
    assert reasons(result, "requests_per_s", "latency_ms", "lists_per_s", "cores_used") == {expected}


def test_idle_is_not_measured_while_something_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "RecordCount", lambda _, topic: Counts(0))
    assert idle.measure(Settings(), parts(), 0.01)["cores_used_all"] >= 0
    assert reasons(idle.measure(Settings(), parts("x"), 0.01), "cores_used", "cores_used_all", "rss_mb") == {"x"}
    monkeypatch.setattr(idle, "RecordCount", lambda _, topic: Counts(7))
    assert reasons(idle.measure(Settings(), parts(), 0.01), "cores_used", "cores_used_all", "rss_mb") == {
        "7 events came meanwhile; 7 lists came meanwhile"
    }


def test_few_shoppers_without_a_list_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    applied, lists = iter([500, 960]), iter([100, 300])
    result = coalesced.watch(lambda: next(applied), lambda: next(lists), parts(), 1000)
    assert result["events_a_list"] == 2.3
    names = ("events_per_s", "lists_per_s", "events_a_list", "cpu_s_per_1000_events")
    applied = iter([500, 960])
    result = coalesced.watch(lambda: next(applied), lambda: 100, parts(), 1000)
    assert reasons(result, *names) == {"460 events were applied and 0 lists came between the two marks"}
    applied, lists = iter([500, 960]), iter([100, 300])
    result = coalesced.watch(lambda: next(applied), lambda: next(lists), parts(model=1, popular=1), 1000)
    assert reasons(result, *names) == {"1 of 2 lists were fallbacks"}
    monkeypatch.setattr(coalesced, "LIMIT_SECONDS", 0.0)
    with pytest.raises(StackError, match="400 events applied"):
        coalesced.watch(lambda: 10, lambda: 10, parts(), 1000)


# state, slots, and the short form


def test_a_job_without_a_checkpoint_has_no_checkpoint_time(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"x" * 1_000_000)

    class Saving(Cluster):
        done: dict[str, int] | None = None

        def savepoint(self, job_id: str, seconds: float) -> str:
            return f"file:{tmp_path}"

        def get(self, path: str) -> dict[str, Any]:
            return {"latest": {"completed": self.done}, "summary": {"end_to_end_duration": {"p50": 0}}}

    cluster = Saving("liveshelf")
    sizes = state._state_sizes(Settings(), cluster)  # type: ignore[arg-type]
    assert reasons(sizes, "checkpoint_ms", "checkpoint_mb") == {"the job has completed no checkpoint"}
    cluster.done = {"state_size": 2_000_000}
    assert state._state_sizes(Settings(), cluster)["checkpoint_mb"] == 2.0  # type: ignore[arg-type]
    with pytest.raises(ClusterError, match="a running job"):
        state._state_sizes(Settings(), Saving())  # type: ignore[arg-type]


def test_what_another_slot_costs_is_not_read_off_one_point() -> None:
    assert scale.fit_cost([1, 2], [0.1, 0.12]) == {"a": 0.08, "b": 0.02}
    assert as_json({"cost": scale.fit_cost([1], [0.1])})["left_out"].keys() == {"cost.a", "cost.b"}
    not_measured = NotMeasured("no list came")
    assert scale.fit_cost([1, 2], [0.1, not_measured]) == {"a": not_measured, "b": not_measured}
    assert scale.fit_cost([1], [not_measured]) == {"a": not_measured, "b": not_measured}


def test_a_round_of_the_short_form_without_lists_gives_no_ratio_and_no_median() -> None:
    stood_still = figures_between(
        Reading(10.0, 1_000, 500, {"taskmanager-0": 1.0}), Reading(12.0, 9_000, 500, {"taskmanager-0": 2.0})
    )
    assert reasons({"row": stood_still}, "row") == {"8000 events were applied and 0 lists came between two marks"}
    good = {"events_per_s": 4_000, "lists_per_s": 2_000, "taskmanager_cpu_s_per_1000": 0.25}
    found = dict.fromkeys((kind.name for kind in short.KINDS), good) | {"new shoppers": stood_still}
    measured = {name: not isinstance(value, NotMeasured) for name, value in ratios_of(found, 8_000).items()}
    assert [*measured.values()] == [True, True, False, False]
    rounds = [ratios_of(dict.fromkeys(found, good), 8_000), ratios_of(found, 8_000)]
    assert [isinstance(value, NotMeasured) for value in medians(rounds).values()] == [False, False, True, True]


# other engines


def kill_of(monkeypatch: pytest.MonkeyPatch, kill: Callable[[], None], polls: int = 200_000) -> dict[str, Any]:
    def start_load(load: Load) -> Generator:
        event_counts = freshness.sent_per_user(load)
        stream.extend([[], [list_record(user, count, 1) for user, count in event_counts.items()]])
        return Generator(sent(load.count, seconds=load.count / load.rate), polls)

    stream: list[list[Record]] = []
    monkeypatch.setattr(contest, "KILL_S", 0.02)  # the load must last for half of it
    monkeypatch.setattr(freshness, "consumer_at_end", lambda *_: Consumer(iter(stream)))
    monkeypatch.setattr(contest, "in_the_background", start_load)
    return contest.measure_kill(Settings(), ["i"], "events", "lists", kill)


def test_a_contestant_that_was_not_killed_has_lost_nothing_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = ("killed_lost", "killed_twice", "killed_silence_s")
    killed = []
    found = kill_of(monkeypatch, lambda: killed.append(True))
    assert (found["killed_lost"], found["killed_twice"], killed) == (0, 0, [True])
    assert isinstance(found["killed_silence_s"], float)

    def fail() -> None:
        raise ProcessLookupError("gone")

    assert reasons(kill_of(monkeypatch, fail), *figures) == {"the kill failed: ProcessLookupError('gone')"}
    ended = kill_of(monkeypatch, lambda: None, polls=1)
    assert "the load ended before the kill" in reasons(ended, *figures).pop()


def test_the_silence_of_a_reader_goes_on_until_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "consumer_at_end", lambda *_: Consumer(iter([[list_record("t-1", 1, 1)]])))
    readings = freshness.Readings(Settings(), "t")
    assert readings.silence_s() == NotMeasured("no list came")
    readings.poll(0)
    time.sleep(0.3)
    assert isinstance(silence_s := readings.silence_s(), float) and silence_s >= 0.3
