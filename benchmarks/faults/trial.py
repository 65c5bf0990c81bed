"""One trial: runs a load with faults and compares the result with the oracle."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka.errors import KafkaError

from benchmarks.faults.evidence import Strike, struck_now
from benchmarks.faults.fault import Fault, Injector
from benchmarks.faults.observer import JobWatcher, ListWatcher
from benchmarks.faults.oracle import Oracle
from benchmarks.faults.recovery import fresh_again, recovery, wait_for_commit_s
from benchmarks.faults.verdict import Items, Observed, Row, judge
from benchmarks.measuring.load import Load, in_the_background, report_of
from operators.kafka_io.read_to_end import Offsets
from operators.records.contracts import CATALOGUE, DEAD_LETTERS, ERASURES, EVENTS
from operators.records.topic_specs import job_outputs
from operators.settings import Settings
from operators.waiting import wait_while
from pipelines.topics.topic_reader import TopicReader

ANSWER_SECONDS = 120.0
STAYS_S = 10.0  # the load continues until lists have been fresh for this time,
LONGEST_S = 70.0  # but at most this time after the last fault
DURING_S = 120.0  # maximum time of `Plan.during` after the planned end of the load


@dataclass
class Plan:
    """`seconds` of load at `rate` events/s over `users`, with `faults`, and more load until lists are fresh again."""

    name: str
    faults: Sequence[Fault] = ()
    rate: float = 500
    seconds: float = 45
    users: int = 5000
    seed: int = 7
    duplicates: float = 0.0
    poison: float = 0.0
    # runs in a thread with the start of the load (monotonic s); returns a strike if it injects a fault
    during: Callable[[float], Strike | None] | None = None
    load: dict[str, Any] = field(default_factory=dict)  # more fields of `Load`

    @property
    def disturbed(self) -> bool:
        """Whether the trial has more than load."""
        return bool(self.faults or self.during)


def run_trial(settings: Settings, plan: Plan, injector: Injector, bundle: Path, items: list[str]) -> Row:
    """Runs the load with its faults, waits until every user has a list (at most `ANSWER_SECONDS`), and judges.

    `settings.job` must be those of the running job. The load's users are new, so the oracle only needs events from now on.
    Raises `BrokerError` if the load did not reach the broker.
    """
    with _Trial(settings, plan) as trial:
        trial.load(injector, items)
        return trial.judged(bundle)


class _Trial:
    """A load and its watchers, inside a `with`."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self._settings, self._plan = settings, plan
        self._tag = f"{plan.name[:20]}-{time.time_ns() // 1_000_000}"
        self._topics = TopicReader(settings.kafka)
        self._starts = {topic: self._topics.ends(topic) for topic in (EVENTS, ERASURES, DEAD_LETTERS)}
        self._lists, self._job = ListWatcher(settings, self._tag), JobWatcher(settings)
        self._incomplete: dict[str, list[str]] = {}
        self._strikes: list[Strike] = []
        self._bounded: list[Strike] = []  # strikes that end before the load does: lists must be fresh again after them
        self._started_s = self._last_event = time.monotonic()
        self._acknowledged = 0

    def __enter__(self) -> "_Trial":
        return self

    def __exit__(self, *_: object) -> None:
        self._lists.close()
        self._job.stop()
        self._topics.close()

    def load(self, injector: Injector, items: list[str]) -> None:
        """Runs the load and its faults."""
        plan, generator = self._plan, in_the_background(self._load_of(items))
        self._started_s = time.monotonic()
        try:
            self._strikes = strike_all(plan, injector, self._started_s)
            self._bounded = [strike for strike in self._strikes if not strike.lasts]
            if plan.disturbed:
                time.sleep(max(0.0, self._started_s + plan.seconds - time.monotonic()))
                if self._bounded:
                    wait_while(lambda: not self._stays_fresh(), self._bounded[-1].until + LONGEST_S - time.monotonic())
                generator.terminate()
            report = report_of(generator)
        finally:
            generator.kill()  # after an error it would load the next trial too
        self._acknowledged = int(report["sent"])
        self._last_event = time.monotonic() + report["last_at"] - time.time()

    def judged(self, bundle: Path) -> Row:
        """Waits for the lists, reads all topics to the end, and compares."""
        plan, settings, topics, view = self._plan, self._settings, self._topics, self._lists.view
        oracle = self._replayed()
        expected_orders = oracle.expected_orders(user for user in oracle.states if user.startswith(self._tag))
        wait_while(lambda: any(view.order_of(user) < order for user, order in expected_orders.items()), ANSWER_SECONDS)
        transactions = self._open_transactions()
        time.sleep(2)  # a list that should not exist would come now
        self._incomplete |= {"lists": self._lists.stop(), "job": self._job.stop()}
        unstruck = [
            f"the load ended before: {strike.fault}" for strike in self._bounded if strike.at > self._last_event
        ]
        self._incomplete["recovery"] = unstruck
        commit_s = wait_for_commit_s(settings)
        observed = Observed(
            view=view,
            oracle=oracle,
            letters=topics.read(DEAD_LETTERS, self._starts[DEAD_LETTERS]),
            acknowledged=self._acknowledged,
            recovery=recovery(view, self._bounded, self._started_s, self._last_event, commit_s),
            strikes=[*self._strikes, *input_faults(plan, oracle)],
            open_transactions=transactions,
            restarts=self._job.restarts,
            flink_restart_s=self._job.restart_s,
            incomplete=self._incomplete,
        )

        def expected(users: Iterable[str]) -> Items:
            return oracle.items(users, bundle, settings, topics.read(CATALOGUE, {}), int(time.time() * 1000))

        return judge(plan.name, plan.seed, settings.job.delivery, observed, expected)

    def _load_of(self, items: list[str]) -> Load:
        plan = self._plan
        return Load(
            client=self._settings.kafka.client_options(),
            items=items,
            rate=plan.rate,
            count=int(plan.rate * (plan.seconds + (LONGEST_S if plan.disturbed else 0))),
            users=plan.users,
            tag=self._tag,
            seed=plan.seed,
            duplicates=plan.duplicates,
            poison=plan.poison,
            **plan.load,
        )

    def _replayed(self) -> Oracle:
        """Replays all events and erasures since the start; the history is incomplete if the broker has deleted some."""
        end_offsets = self._topics.ends(EVENTS)
        records = self._topics.read(EVENTS, self._starts[EVENTS])
        removed = deleted(records, self._starts[EVENTS], end_offsets)
        self._incomplete["events"] = [f"{removed} events of the trial are no longer on the topic"] if removed else []
        return Oracle(self._settings, records, erasures=self._topics.read(ERASURES, self._starts[ERASURES]))

    def _open_transactions(self) -> int:
        outputs = job_outputs(feedback=self._settings.feedback.enabled, demand=self._settings.demand.enabled)
        try:
            return wait_while(lambda: self._topics.open_transactions(outputs), 40)
        except KafkaError as error:
            self._incomplete["transactions"] = [f"the broker did not say: {error!r}"]
            return 0

    def _stays_fresh(self) -> bool:
        """Whether lists have been fresh for `STAYS_S` after the last fault."""
        now, commit_s = time.monotonic(), wait_for_commit_s(self._settings)
        since = fresh_again(self._lists.view, self._bounded, self._started_s, now, commit_s)
        return since is not None and now - since > STAYS_S


def strike_all(plan: Plan, injector: Injector, started_s: float) -> list[Strike]:
    """Injects every fault at its time, and runs `Plan.during` in a thread; returns the strikes in order."""
    strikes, side_strikes = list[Strike](), list[Strike | None]()

    def during() -> None:
        assert plan.during is not None
        try:
            side_strikes.append(plan.during(started_s))
        except Exception as error:  # an error in a thread would go unseen, and a missing fault break nothing
            side_strikes.append(struck_now("beside the load", "", failure=repr(error)))

    side_thread = threading.Thread(target=during, daemon=True)
    if plan.during is not None:
        side_thread.start()
    for fault in sorted(plan.faults, key=lambda strike: strike.at_s):
        time.sleep(max(0.0, started_s + fault.at_s - time.monotonic()))
        strikes.append(injector.inject(fault))
    if plan.during is not None:
        side_thread.join(plan.seconds + DURING_S)
        if not side_strikes:
            side_strikes.append(struck_now("beside the load", "", failure="it did not end"))
    return sorted([*strikes, *(strike for strike in side_strikes if strike is not None)], key=lambda strike: strike.at)


def input_faults(plan: Plan, oracle: Oracle) -> list[Strike]:
    """Poison and duplicates of the load as strikes, with evidence."""
    planned = {
        "poison": (plan.poison, oracle.outcomes["dead"]),
        "duplicates": (plan.duplicates, oracle.outcomes["duplicate"]),
    }
    return [struck_now(name, f"{count} records" if count else "") for name, (share, count) in planned.items() if share]


def deleted(records: Iterable[Any], start: Offsets, end_offsets: Offsets) -> int:
    """The number of records between `start` and `end_offsets` that retention has removed."""
    end_of = {(partition.topic, partition.partition): end for partition, end in end_offsets.items()}
    read_count = sum(record.offset < end_of.get((record.topic, record.partition), 0) for record in records)
    return sum(end - start.get(partition, 0) for partition, end in end_offsets.items()) - read_count
