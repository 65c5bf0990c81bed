"""The verdict on a trial: a row of the report, and whether Liveshelf kept its guarantees.

A count is None, with the reason in `unknown`, if its source was not read to the end.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from benchmarks.faults.evidence import Strike
from benchmarks.faults.observer import ReaderView
from benchmarks.faults.oracle import Oracle, Order
from benchmarks.faults.recovery import Recovery
from operators.records.contracts import CATALOGUE, HEADER_PREFIX, LETTER_REASON

log = logging.getLogger(__name__)

SCORES_CHECKED = 300
Items = dict[str, list[tuple[str, float]]]  # user -> (item, score) in order


class Verdict(StrEnum):
    """The verdict of a row."""

    KEPT = "kept"
    BROKEN = "broken"
    UNKNOWN = "unknown"
    NOT_RUN = "not run"

    @classmethod
    def of(cls, passed: bool) -> "Verdict":
        """The verdict of a check with complete data."""
        return cls.KEPT if passed else cls.BROKEN


# counts that must be 0; with exactly-once delivery those of `EXACTLY_ONCE` too
JUDGED = (
    "events_missing", "lost", "counted_twice", "phantoms", "mismatched", "ends_wrong", "erased_listed", "scores_differ",
    "dead_letters_wrong", "not_fresh_again",
)  # fmt: skip
EXACTLY_ONCE = ("written_twice", "fell", "open_transactions")
# source -> the fields that depend on it
OF_LISTS = frozenset(
    ("lost", "counted_twice", "phantoms", "mismatched", "ends_wrong", "erased_listed", "scores_differ", "written_twice",
     "fell", "fallback_lists", "silence_s", "recovery_s", "not_fresh_again")
)  # fmt: skip
OF_EVENTS = frozenset(
    ("events", "users", "events_missing", "lost", "counted_twice", "phantoms", "mismatched", "ends_wrong", "erased_listed",
     "scores_differ", "dead_letters_wrong")
)  # fmt: skip
RESTS_ON = {
    "lists": OF_LISTS,
    "events": OF_EVENTS,
    "letters": frozenset(("dead_letters", "dead_letters_wrong")),
    "transactions": frozenset(("open_transactions",)),
    "job": frozenset(("restarts", "flink_restart_s")),
    "recovery": frozenset(("silence_s", "recovery_s", "not_fresh_again")),
}


@dataclass
class Row:
    """A row of the report. None: unknown, or the trial had no fault."""

    name: str
    seed: int
    delivery: str
    events: int | None
    users: int | None
    events_missing: int | None  # acknowledged by the broker but not on the topic
    lost: int | None  # users whose newest list lacks an event
    counted_twice: int | None  # users with a list of too many events
    phantoms: int | None  # users with a list but without an event, and lists under another user's key
    mismatched: int | None  # users whose state differs from the oracle's
    written_twice: int | None  # (user, version) written more than once; must be 0 with exactly-once delivery
    fell: int | None  # times that a reader sees a lower version; must be 0 with exactly-once delivery
    ends_wrong: int | None  # users whose last record is not their newest list, or not the tombstone of an erasure
    erased_listed: int | None  # erased users without later events who have a list
    scores_differ: int | None  # the model's lists that differ from an offline run
    dead_letters: int | None
    dead_letters_wrong: int | None  # missing, too many, of another record, or with another reason
    silence_s: float | None
    # from the last fault until the p95 stays within FRESH_LIMIT_S (+ `wait_for_commit_s`)
    recovery_s: float | None
    not_fresh_again: int | None  # 1 if lists did not become fresh again
    flink_restart_s: float | None
    restarts: int | None
    open_transactions: int | None
    fallback_lists: int | None
    seconds_p95: list[float | None]  # freshness of each second of the trial, s; None: no list came
    struck: str = ""  # the evidence that the faults struck
    unknown: dict[str, str] = field(default_factory=dict)  # field -> the reason why it has no value
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Broken when one count is above 0, otherwise unknown when one count is unknown."""
        judged = [getattr(self, name) for name in (*JUDGED, *(EXACTLY_ONCE if self.exactly_once else ()))]
        if any(judged):
            return Verdict.BROKEN
        return Verdict.UNKNOWN if None in judged or "struck" in self.unknown else Verdict.KEPT

    @property
    def exactly_once(self) -> bool:
        """Whether every list must be written exactly once."""
        return self.delivery == "exactly-once"


@dataclass
class Observed:
    """The data of a trial. `incomplete`: source (`RESTS_ON`) -> reasons why its data is incomplete."""

    view: ReaderView
    oracle: Oracle
    letters: Sequence[Any]
    acknowledged: int  # good events that the broker acknowledged
    recovery: Recovery
    strikes: Sequence[Strike] = ()
    open_transactions: int = 0
    restarts: int = 0
    flink_restart_s: float = 0.0
    incomplete: dict[str, list[str]] = field(default_factory=dict)


def judge(name: str, seed: int, delivery: str, observed: Observed, expected: Callable[[Iterable[str]], Items]) -> Row:
    """The row of a trial. `expected` returns the lists that the same bundle makes offline."""
    view, oracle, unknown = observed.view, observed.oracle, dict[str, str]()
    users = [user for user in oracle.states if user.startswith(view.tag.decode())]
    expected_orders, letters = oracle.expected_orders(users), observed.letters
    counts: dict[str, Any] = {
        "events": oracle.outcomes["read"],
        "users": len(users),
        "events_missing": max(0, observed.acknowledged - sum(oracle.events[user] for user in users)),
        **_of_users(view, oracle, expected_orders),
        "mismatched": _mismatched(view, oracle, expected_orders, unknown),
        "scores_differ": _scores_differ(view, expected_orders, expected, unknown),
        "dead_letters": len(letters),
        "dead_letters_wrong": wrong_letters(letters, oracle, once=delivery == "exactly-once"),
        "open_transactions": observed.open_transactions,
        "restarts": observed.restarts,
        "flink_restart_s": round(observed.flink_restart_s, 1),
        **asdict(observed.recovery),
    }
    for source, reasons in observed.incomplete.items():
        unknown |= dict.fromkeys(RESTS_ON[source], "; ".join(reasons)) if reasons else {}
    if not observed.acknowledged:
        unknown |= dict.fromkeys(JUDGED, "the load sent nothing")
    doubts = [strike.doubt for strike in observed.strikes if strike.doubt]
    if doubts:
        unknown["struck"] = "; ".join(doubts)
    values = {field_name: None if field_name in unknown else value for field_name, value in counts.items()}
    evidence = "; ".join(f"{strike.fault}: {strike.evidence}" for strike in observed.strikes if strike.evidence)
    return Row(name, seed, delivery, **values, struck=evidence, unknown=unknown)


def _of_users(view: ReaderView, oracle: Oracle, expected_orders: dict[str, Order]) -> dict[str, int]:
    newest = {user: newest_list.order for user, newest_list in view.newest.items()}
    forgotten = oracle.forgotten_users(oracle.states)
    unknown_users = {
        user for user, *_ in view.written_counts if user not in expected_orders and user not in oracle.erased_users
    }
    return {
        "lost": sum(view.order_of(user) < order for user, order in expected_orders.items()),
        "counted_twice": sum(view.greatest_orders.get(user, order) > order for user, order in expected_orders.items()),
        "phantoms": len(unknown_users) + view.misplaced,
        "written_twice": sum(count > 1 for count in view.written_counts.values()),
        "fell": view.version_falls,
        "ends_wrong": sum(
            user in view.tombstoned or view.last_orders[user] != newest[user]
            for user in expected_orders
            if user in newest
        )
        + sum(user in view.last_orders and user not in view.tombstoned for user in forgotten),
        "erased_listed": sum(user in newest for user in forgotten),
        "fallback_lists": sum(count for (_, _, by_model), count in view.written_counts.items() if not by_model),
    }


def _mismatched(view: ReaderView, oracle: Oracle, expected_orders: dict[str, Order], unknown: dict[str, str]) -> int:
    """Counts wrong state digests among users whose newest list has exactly their events."""
    complete = [
        user for user, order in expected_orders.items() if user in view.newest and view.newest[user].order == order
    ]
    if complete and all(view.newest[user].digest is None for user in complete):
        unknown["mismatched"] = "no list names the state that it was made from: the job runs without job.state_digests"
    digests = oracle.digests(complete)
    return sum(view.newest[user].digest != digests[user] for user in complete)


def _scores_differ(
    view: ReaderView,
    expected_orders: dict[str, Order],
    expected: Callable[[Iterable[str]], Items],
    unknown: dict[str, str],
) -> int:
    """Counts differing lists among up to `SCORES_CHECKED` users whose newest list is the model's and has exactly their
    events."""
    newest = view.newest
    complete = [user for user, order in expected_orders.items() if user in newest and newest[user].order == order]
    by_model = [user for user in complete if newest[user].source == "model"][:SCORES_CHECKED]
    if not by_model:
        unknown["scores_differ"] = "there is no list by the model to be compared"
        return 0
    lists = expected(by_model)
    return sum(not _alike(newest[user].items, lists[user]) for user in by_model)


def _alike(actual: list[tuple[str, float]], expected: list[tuple[str, float]]) -> bool:
    if [item for item, _ in actual] != [item for item, _ in expected]:
        return False
    return all(abs(a - b) <= 1e-3 for (_, a), (_, b) in zip(actual, expected, strict=True))


def wrong_letters(letters: Iterable[Any], oracle: Oracle, *, once: bool) -> int:
    """The number of missing dead letters, and of letters of good records or with a wrong reason or value. `once`: repeated
    letters count too."""
    positions, wrong_count, repeated = set(), 0, 0
    for letter in letters:
        headers = {name.removeprefix(HEADER_PREFIX): value.decode() for name, value in letter.headers}
        position = (headers["topic"], int(headers["partition"]), int(headers["offset"]))
        if position[0] == CATALOGUE:  # the monitor writes these; the job does not read the catalogue as events
            continue
        refused = oracle.refused.get(position)
        if position in positions:
            repeated += 1
            continue
        positions.add(position)
        matches = refused is not None and (refused.reason, refused.value) == (
            headers[LETTER_REASON],
            letter.value,
        )
        if not matches:
            wrong_count += 1
            log.warning(
                "dead letter of %s: wanted %.300s, came %.300s %.300s", position, refused, headers, letter.value
            )
    for position in oracle.refused.keys() - positions:
        log.warning("no dead letter of %s: wanted %.300s", position, oracle.refused[position])
    return wrong_count + len(oracle.refused.keys() - positions) + (repeated if once else 0)


def as_dict(row: Row) -> dict[str, Any]:
    """The row for JSON, with its verdict."""
    return asdict(row) | {"verdict": str(row.verdict)}
