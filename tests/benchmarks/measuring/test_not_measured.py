"""Every benchmark of the running stack, with a stack that does not do its part: null and a reason, exit code 1, and no 0.0."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from benchmarks.measuring import load
from benchmarks.measuring.load import Load, behind_its_rate, publish, report_of
from benchmarks.measuring.measured import NotMeasured, as_json
from benchmarks.peers import contest
from benchmarks.running_stack import coalesced, floor, freshness, idle, scale, short, state, storefront, sustain
from benchmarks.running_stack.floor import Floor
from benchmarks.running_stack.short import Mark, between, medians, ratios_of
from liveshelf.bench.result import tell
from operators.errors import BrokerError, ClusterError, StackError
from operators.settings import Settings
from tests.benchmarks.fakes import Cluster, Consumer, Generator, Record, list_record, parts, sent

RATE, SECONDS, USERS = 100.0, 2.0, 10


def reasons(found: dict[str, Any], *figures: str) -> set[str]:
    """Why these figures have no number; fails where one has."""
    said = set()
    for name in figures:
        for value in found[name].values() if isinstance(found[name], dict) else [found[name]]:
            assert isinstance(value, NotMeasured), f"{name}: {value}"
            said.add(value.reason)
    return said


# freshness


def answers(count: int = 400, users: int = USERS, **fields: Any) -> Iterator[list[Record]]:
    """A poll a list, so many for each user's last event."""
    tag = Tag.now
    now = int(time.time() * 1000) + 1
    time.sleep(0.02)
    yield [list_record(f"{tag}-{n % users}", 1000, now, **fields) for n in range(count)]


class Tag:
    """The tag of the load that runs."""

    now = ""


def measured_freshness(
    monkeypatch: pytest.MonkeyPatch,
    batches: Callable[[], Iterator[list[Record]]],
    generator: Generator | None = None,
    unread: int = 0,
    broken: str = "",
) -> dict[str, Any]:
    def begun(load: Load) -> Generator:
        Tag.now = load.tag
        return generator or Generator(sent(load.count))

    def later() -> Iterator[list[Record]]:
        yield []
        yield from batches()

    monkeypatch.setattr(freshness, "consumer_at_end", lambda *_: Consumer(later(), unread))
    monkeypatch.setattr(freshness, "in_the_background", begun)
    monkeypatch.setattr(freshness, "DRAIN_SECONDS", 0.1)
    stack = parts(broken) if broken else parts()
    return freshness.measure(Settings(), ["i"], stack, RATE, SECONDS, 0.0, USERS)


FIGURES = ("freshness_ms", "event_to_list_made_ms", "cores_used")


def test_freshness_that_was_measured_has_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured_freshness(monkeypatch, answers)
    assert "not_measured" not in as_json(found) and found["users_unanswered"] == 0
    assert 0 < found["freshness_ms"]["p50"] < 10_000 and found["freshness_ms"]["p99"] >= found["freshness_ms"]["p50"]


def test_freshness_without_a_list_is_null_and_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = measured_freshness(monkeypatch, lambda: iter(()))
    (reason,) = reasons(found, *FIGURES)
    assert reason == "no list came; 10 of 10 users had no list of all their events when the wait ended"
    with pytest.raises(typer.Exit) as ended:
        tell(found, tmp_path / "kept.json", json=True)
    assert ended.value.exit_code == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["freshness_ms"] == {"p50": None, "p95": None, "p99": None, "max": None}
    assert json.loads(printed.out)["not_measured"]["freshness_ms.p50"] == reason
    assert json.loads((tmp_path / "kept.json").read_text()) == json.loads(printed.out)
    assert "no list came" in printed.err
    with pytest.raises(typer.Exit):
        tell(found, None, json=False)
    assert "'p50': None" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batches": lambda: answers(users=9)}, "1 of 10 users had no list of all their events when the wait ended"),
        ({"batches": lambda: answers(source="popular")}, "400 of 400 lists were fallbacks"),
        ({"unread": 5}, "the reader did not reach the end of the lists: 5 records before it"),
        ({"broken": "the job was restarted"}, "the job was restarted"),
        ({"generator": Generator(sent(200, late_ms=1500.0))}, "the load generator fell 1500 ms behind"),
        ({"generator": Generator(sent(200, seconds=3.0))}, "the load generator sent 67 events/s instead of 100"),
    ],
)
def test_freshness_of_a_part_or_of_another_stack_is_not_measured(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], said: str
) -> None:
    (reason,) = reasons(measured_freshness(monkeypatch, **({"batches": answers} | options)), *FIGURES)
    assert said in reason and ";" not in reason


def test_a_few_lists_have_no_p99(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured_freshness(monkeypatch, lambda: answers(count=50))
    assert found["freshness_ms"]["p95"] > 0
    assert found["freshness_ms"]["p99"] == NotMeasured("50 values came, a p99 needs 100")


def test_a_load_that_did_not_reach_the_broker_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for generator in (Generator(sent(200, failed=1)), Generator(None, returncode=1), Generator(None)):
        with pytest.raises(BrokerError, match="all events of the load published"):
            measured_freshness(monkeypatch, answers, generator)


def test_a_floor_that_passed_half_of_the_records_has_no_percentiles() -> None:
    beside = Floor(Settings())
    beside.count_from_ms = 0
    now_us = time.time_ns() // 1000
    ours = {"p50": 10.0, "p99": 20.0}
    for done, measured in ((0, False), (500, False), (1000, True)):
        while beside.latency_us.get_total_count() < done:
            beside._take(json.dumps({"event_time": now_us // 1000 - 5}).encode(), now_us)
        found = freshness._beside(beside, 1000, ours)
        assert isinstance(found["ratios"]["p50 of the floor to ours"], float) is measured
        assert isinstance(found["floor_ms"]["max"], float) is measured
    beside._failure = "KafkaError()"
    assert reasons(freshness._beside(beside, 1000, ours), "floor_ms") == {"the floor's reader ended: KafkaError()"}


def test_a_floors_reader_that_dies_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "consumer_at_end", lambda *_: Consumer(iter([[Record(b"k", b"no json")]])))
    beside = Floor(Settings())
    beside._read()
    assert "MalformedJson" in beside.missed(0)[0] or "JSON" in beside.missed(0)[0]


# the load


def test_a_load_says_whether_it_kept_its_rate() -> None:
    assert behind_its_rate(sent(100), 100) == []
    assert behind_its_rate(sent(0), 100) == ["the load generator sent nothing"]


def test_a_load_that_died_is_an_error() -> None:
    unreachable = Load(client={"bootstrap_servers": ["127.0.0.1:1"], "api_version_auto_timeout_ms": 300}, items=["i"],
                       count=1, rate=0, users=1, tag="t", patience_s=0.5)  # fmt: skip
    with pytest.raises(BrokerError, match="exit 1"):
        report_of(load.in_the_background(unreachable))


def test_a_backlog_that_is_not_whole_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Load(client={}, items=["i"], count=10, rate=0, users=1, tag="t")
    for report in (sent(10, failed=1), sent(9)):
        monkeypatch.setattr(load, "run", lambda _, report=report: report)
        with pytest.raises(BrokerError, match="10 events published"):
            publish(whole)


# sustain


def trial(rate: int, held: bool | None) -> dict[str, Any]:
    return {"rate": rate, "sustained": held, "unknown": ["the load generator fell behind"] if held is None else []}


def test_the_highest_rate_lies_below_one_that_did_not_hold() -> None:
    assert sustain.highest([trial(100, True), trial(300, False), trial(200, True), trial(250, False)]) == 200
    assert "no rate held, 100 events/s" in str(sustain.highest([trial(200, False), trial(100, False)]))
    assert "every rate held, 300 events/s too" in str(sustain.highest([trial(200, True), trial(300, True)]))
    unknown = sustain.highest([trial(100, True), trial(300, False), trial(200, None)])
    assert unknown == NotMeasured("100 events/s held, and at 200 the load generator fell behind")


@pytest.mark.parametrize(
    ("lists", "report", "stack", "held"),
    [
        (1000, sent(1000), parts(), True),
        (899, sent(1000), parts(), False),
        (1000, sent(1000, late_ms=2000.0), parts(), None),
        (1000, sent(1000), parts("the job was restarted"), None),
        (1000, sent(1000), parts(model=900, popular=100), False),
    ],
)
def test_a_trial_shows_something_only_where_its_rate_was_offered(
    monkeypatch: pytest.MonkeyPatch, lists: int, report: dict[str, float], stack: Any, held: bool | None
) -> None:
    counts = iter([0, lists])
    monkeypatch.setattr(sustain, "in_the_background", lambda _: Generator(report))
    monkeypatch.setattr(sustain, "_settle", lambda _: None)
    found = sustain._trial(Settings(), ["i"], lambda: next(counts), stack, 100, 10)
    assert found["sustained"] is held


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
    ("wrk", "lists", "broken", "said"),
    [
        ({"failed": 3}, 10_000, "", "3 answers were errors"),
        ({"timed_out": 2}, 10_000, "", "2 requests had no answer"),
        ({"requests_per_s": 0.0}, 10_000, "", "no look-up was answered"),
        ({}, 0, "", "0 lists/s flowed in instead of 100"),
        ({}, 10_000, "storefront was restarted", "storefront was restarted"),
    ],
)
def test_look_ups_that_were_errors_or_met_no_lists_are_not_measured(
    monkeypatch: pytest.MonkeyPatch, wrk: dict[str, Any], lists: int, broken: str, said: str
) -> None:
    monkeypatch.setattr(storefront, "in_the_background", lambda _: Generator(sent(500)))
    known = Load(client={}, items=["i"], count=0, rate=0, users=5, tag="t")
    monkeypatch.setattr(storefront.time, "sleep", lambda _: None)

    def measured(wrk: dict[str, Any], lists: int, *broken: str) -> dict[str, Any]:
        monkeypatch.setattr(storefront, "Written", lambda _: Counts(lists))
        monkeypatch.setattr(storefront, "_wrk", lambda *_: WRK | wrk)
        return storefront.measure(Settings(), ["i"], parts(*broken), 100, 5, known)

    assert measured({}, 10_000)["requests_per_s"] == 1000.0
    found = measured(wrk, lists, *filter(None, [broken]))
    assert reasons(found, "requests_per_s", "latency_ms", "lists_per_s", "cores_used") == {said}


def test_idle_is_not_measured_while_something_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "Written", lambda _, topic: Counts(0))
    assert idle.measure(Settings(), parts(), 0.01)["cores_used_all"] >= 0
    assert reasons(idle.measure(Settings(), parts("x"), 0.01), "cores_used", "cores_used_all", "rss_mb") == {"x"}
    monkeypatch.setattr(idle, "Written", lambda _, topic: Counts(7))
    assert reasons(idle.measure(Settings(), parts(), 0.01), "cores_used", "cores_used_all", "rss_mb") == {
        "7 events came meanwhile; 7 lists came meanwhile"
    }


def test_few_shoppers_without_a_list_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    applied, lists = iter([500, 960]), iter([100, 300])
    found = coalesced.watch(lambda: next(applied), lambda: next(lists), parts(), 1000)
    assert found["events_a_list"] == 2.3
    names = ("events_per_s", "lists_per_s", "events_a_list", "cpu_s_per_1000_events")
    applied = iter([500, 960])
    found = coalesced.watch(lambda: next(applied), lambda: 100, parts(), 1000)
    assert reasons(found, *names) == {"460 events were applied and 0 lists came between the two marks"}
    applied, lists = iter([500, 960]), iter([100, 300])
    found = coalesced.watch(lambda: next(applied), lambda: next(lists), parts(model=1, popular=1), 1000)
    assert reasons(found, *names) == {"1 of 2 lists were fallbacks"}
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
    found = state._of_state(Settings(), cluster)  # type: ignore[arg-type]
    assert reasons(found, "checkpoint_ms", "checkpoint_mb") == {"the job has completed no checkpoint"}
    cluster.done = {"state_size": 2_000_000}
    assert state._of_state(Settings(), cluster)["checkpoint_mb"] == 2.0  # type: ignore[arg-type]
    with pytest.raises(ClusterError, match="a running job"):
        state._of_state(Settings(), Saving())  # type: ignore[arg-type]


def test_what_another_slot_costs_is_not_read_off_one_point() -> None:
    assert scale.fitted([1, 2], [0.1, 0.12]) == {"a": 0.08, "b": 0.02}
    assert as_json({"cost": scale.fitted([1], [0.1])})["left_out"].keys() == {"cost.a", "cost.b"}
    missing = NotMeasured("no list came")
    assert scale.fitted([1, 2], [0.1, missing]) == {"a": missing, "b": missing}
    assert scale.fitted([1], [missing]) == {"a": missing, "b": missing}


def test_a_round_of_the_short_form_without_lists_gives_no_ratio_and_no_median() -> None:
    stood_still = between(
        Mark(10.0, 1_000, 500, {"taskmanager-0": 1.0}), Mark(12.0, 9_000, 500, {"taskmanager-0": 2.0})
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
    def begun(load: Load) -> Generator:
        wanted = freshness.sent_per_user(load)
        stream.extend([[], [list_record(user, count, 1) for user, count in wanted.items()]])
        return Generator(sent(load.count, seconds=load.count / load.rate), polls)

    stream: list[list[Record]] = []
    monkeypatch.setattr(contest, "KILL_S", 0.02)  # the load must last for half of it
    monkeypatch.setattr(freshness, "consumer_at_end", lambda *_: Consumer(iter(stream)))
    monkeypatch.setattr(contest, "in_the_background", begun)
    return contest.killed(Settings(), ["i"], "events", "lists", kill)


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
    assert isinstance(found := readings.silence_s(), float) and found >= 0.3
