"""One trial: load runs, faults happen, the oracle judges."""

import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.faults.fault import Fault, Injector
from benchmarks.faults.observer import JobWatcher, ListWatcher, Seen
from benchmarks.faults.oracle import Oracle
from benchmarks.load import Load, in_the_background
from operators.contracts import CATALOGUE, DEAD_LETTERS, EVENTS, HEADER_PREFIX
from operators.settings import Settings
from pipelines.topic_reader import TopicReader

ANSWER_SECONDS = 120.0
# p95 of a second: what counts as fresh again on a machine that also holds load, broker and oracle; where it was
# slower before the fault, three times what it was
FRESH_LIMIT_S, WARM_S = 0.25, 3.0
STAYS_S = 10.0  # it must stay fresh for so long; until then the load goes on,
LONGEST_S = 70.0  # at most so long after the last fault
SCORES_CHECKED = 300


@dataclass
class Plan:
    """What to do: `seconds` of load at `rate` events/s over `users`, with `faults` in between, and more load until lists are fresh again."""

    name: str
    faults: Sequence[Fault] = ()
    rate: float = 500
    seconds: float = 45
    users: int = 5000
    seed: int = 7
    duplicates: float = 0.0
    poison: float = 0.0
    # called in a thread with the moment (monotonic s) of the load's start; a fault of its own returns when it struck
    during: Callable[[float], float | None] | None = None
    load: dict[str, Any] = field(default_factory=dict)  # more fields of `Load`


@dataclass
class Row:
    """A line of the report. Counts of users, seconds, and what the cluster said."""

    name: str
    seed: int
    delivery: str
    events: int
    users: int
    lost: int  # users whose newest list does not know all their events
    counted_twice: int  # users whose newest list knows more
    mismatched: int  # users whose state differs from the oracle's
    written_twice: int  # (user, version) written more than once; must be 0 where exactly once is on
    fell: int  # times that a version fell, as a reader sees it; must be 0 where exactly once is on
    ends_wrong: int  # users whose last record is not their newest list
    scores_differ: int  # of the lists made by the model, against an offline run
    dead_letters: int
    dead_letters_wrong: int  # missing, too many, or of another record
    silence_s: float
    # from the last fault to p95 within FRESH_LIMIT_S (+ `wait_for_commit_s`) for good; None: no fault, infinite: never
    recovery_s: float | None
    flink_restart_s: float
    restarts: int
    open_transactions: int
    fallback_lists: int
    seconds_p95: list[float]  # freshness of each second of the trial, s
    note: str = ""

    @property
    def kept(self) -> bool:
        """Whether nothing was lost, counted twice, or ended wrong."""
        wrong = self.lost + self.counted_twice + self.mismatched + self.ends_wrong + self.scores_differ
        exactly = self.written_twice + self.fell + self.open_transactions if self.delivery == "exactly-once" else 0
        return wrong + self.dead_letters_wrong + exactly == 0


def run_trial(settings: Settings, plan: Plan, injector: Injector, bundle: Path, items: list[str]) -> Row:
    """Runs the load with its faults, waits until all is answered (or `ANSWER_SECONDS` pass), and judges.

    `settings.job` must be those of the running job. The load's users are new, so the oracle needs the events from now on only.
    """
    tag = f"{plan.name[:20]}-{time.time_ns() // 1_000_000}"
    topics = TopicReader(settings.kafka)
    events_from, letters_from = topics.ends(EVENTS), topics.ends(DEAD_LETTERS)
    lists, job = ListWatcher(settings, tag), JobWatcher(settings)
    load = Load(
        client=settings.kafka.client_options(), items=items, rate=plan.rate,
        count=int(plan.rate * (plan.seconds + (LONGEST_S if plan.faults or plan.during else 0))),
        users=plan.users, tag=tag, seed=plan.seed, duplicates=plan.duplicates, poison=plan.poison, **plan.load,
    )  # fmt: skip
    generator = in_the_background(load)
    begun = time.monotonic()
    spans = _faults(plan, injector, begun)
    if plan.faults or plan.during:
        time.sleep(max(0.0, begun + plan.seconds - time.monotonic()))
        if spans:
            _wait(lambda: _stays_fresh(lists.seen, spans, begun, settings), spans[-1][1] + LONGEST_S - time.monotonic())
        generator.terminate()
    said = json.loads(generator.communicate()[0])
    if generator.returncode or said["failed"]:
        raise RuntimeError(f"the load did not reach the broker: {said}")
    oracle = Oracle(settings, topics.read(EVENTS, events_from))
    users = [user for user in oracle.states if user.startswith(tag)]
    wanted = oracle.versions(users)
    _wait(lambda: all(_version(lists.seen, user) >= wanted[user] for user in users))
    _wait(lambda: topics.open_transactions() == 0, 40)
    time.sleep(2)  # what should not come would come now
    seen, job = lists.stop(), job.stop()
    letters = topics.read(DEAD_LETTERS, letters_from)
    row = Row(
        name=plan.name, seed=plan.seed, delivery=settings.job.delivery, events=oracle.outcomes["read"], users=len(users),
        **_judge(seen, oracle, users, wanted),
        scores_differ=_scores(seen, oracle, users, bundle, settings, topics),
        dead_letters=len(letters), dead_letters_wrong=_wrong_letters(letters, oracle, settings.job.delivery),
        **_times(seen, job, spans, begun, wait_for_commit_s(settings)),
        open_transactions=topics.open_transactions(),
        fallback_lists=sum(count for (_, _, by_model), count in seen.written.items() if not by_model),
    )  # fmt: skip
    topics.close()
    return row


def _faults(plan: Plan, injector: Injector, begun: float) -> list[tuple[float, float]]:
    """Does every fault in its time, in this thread; returns from when to when each lasted."""
    spans: list[tuple[float, float]] = []
    struck: list[float | None] = []
    extra = threading.Thread(target=lambda: struck.append(plan.during and plan.during(begun)), daemon=True)
    extra.start()
    for fault in sorted(plan.faults, key=lambda one: one.at_s):
        time.sleep(max(0.0, begun + fault.at_s - time.monotonic()))
        start = time.monotonic()
        injector.inject(fault)
        spans.append((start, max(time.monotonic(), start)))
    extra.join(plan.seconds + 120)
    return sorted(spans + [(moment, moment) for moment in struck if moment])


def _stays_fresh(seen: Seen, spans: list[tuple[float, float]], begun: float, settings: Settings) -> bool:
    """Whether lists have been fresh for `STAYS_S` since the last fault."""
    now = time.monotonic()
    since = _fresh_again(seen, spans, begun, now, wait_for_commit_s(settings))
    return since is not None and now - since > STAYS_S


def _wait(true: Callable[[], bool], seconds: float = ANSWER_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.25)
    return False


def _version(seen: Seen, user: str) -> int:
    newest = seen.newest.get(user)
    return newest.version if newest else 0


def _judge(seen: Seen, oracle: Oracle, users: list[str], wanted: dict[str, int]) -> dict[str, int]:
    versions = {user: _version(seen, user) for user in users}
    listed = [user for user in users if wanted[user]]
    digests = oracle.digests(listed)
    return {
        "lost": sum(versions[user] < wanted[user] for user in users),
        "counted_twice": sum(versions[user] > wanted[user] for user in users),
        "mismatched": sum(user in seen.newest and seen.newest[user].digest != digests[user] for user in listed),
        "written_twice": sum(count > 1 for count in seen.written.values()),
        "fell": seen.fell,
        "ends_wrong": sum(seen.last_version.get(user) != versions[user] for user in listed),
    }


def _scores(seen: Seen, oracle: Oracle, users: list[str], bundle: Path, settings: Settings, topics: TopicReader) -> int:
    by_model = [u for u in users if u in seen.newest and seen.newest[u].source == "model"][:SCORES_CHECKED]
    expected = oracle.items(by_model, bundle, settings, topics.read(CATALOGUE, {}), int(time.time() * 1000))
    differ = 0
    for user in by_model:
        got, want = seen.newest[user].items, expected[user]
        same = [item for item, _ in got] == [item for item, _ in want]
        differ += not (same and all(abs(a - b) <= 1e-3 for (_, a), (_, b) in zip(got, want, strict=True)))
    return differ


def _wrong_letters(letters: list[Any], oracle: Oracle, delivery: str) -> int:
    def place(record: Any, name: str) -> int:
        return int(dict(record.headers)[HEADER_PREFIX + name])

    got = [(place(record, "partition"), place(record, "offset")) for record in letters]
    missing_or_foreign = len(set(got) ^ oracle.dead)
    return missing_or_foreign + (len(got) - len(set(got)) if delivery == "exactly-once" else 0)


def wait_for_commit_s(settings: Settings) -> float:
    """Delivered exactly once, lists can be read only after the next checkpoint, all that wait at once."""
    return 1.5 * settings.job.checkpoint_interval_ms / 1000 if settings.job.delivery == "exactly-once" else 0.0


def _times(
    seen: Seen, job: JobWatcher, spans: list[tuple[float, float]], begun: float, commit_s: float
) -> dict[str, Any]:
    first, end = (seen.arrivals[0], seen.arrivals[-1]) if seen.arrivals else (begun, begun)
    fresh = _fresh_again(seen, spans, begun, end, commit_s) if spans else None
    never = math.inf if spans else None
    return {
        "seconds_p95": [round(seen.percentile(0.95, begun + n, begun + n + 1), 3) for n in range(int(end - begun) + 1)],
        "silence_s": round(seen.silence(spans[0][0] if spans else first, end), 1),
        "recovery_s": never if fresh is None else round(fresh - spans[-1][0], 1),
        "flink_restart_s": round(job.restart_s, 1),
        "restarts": job.restarts,
    }


def _fresh_again(
    seen: Seen, spans: list[tuple[float, float]], begun: float, end: float, commit_s: float
) -> float | None:
    """From when on, after the start of the last fault, lists were fresh until `end` (monotonic s); None if never."""
    before = seen.percentile(0.95, begun + WARM_S, spans[0][0])
    limit_s = max(FRESH_LIMIT_S, 3 * before) if math.isfinite(before) else FRESH_LIMIT_S
    return seen.fresh_again(spans[-1][0], end, limit_s + commit_s, 1.0 + commit_s)


def as_dict(row: Row) -> dict[str, Any]:
    """The row for JSON, with its verdict."""
    return asdict(row) | {"kept": row.kept}
