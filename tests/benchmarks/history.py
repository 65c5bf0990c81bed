"""A load of 20 seconds and what a job that does right makes of it, as records on the topics. Tests plant defects into it."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.faults.evidence import Strike
from benchmarks.faults.observer import ReaderView
from benchmarks.faults.oracle import Oracle
from benchmarks.faults.recovery import recovery
from benchmarks.faults.verdict import Observed, Row, judge
from operators.errors import BadRecord
from operators.lists.catalogue import Catalogue
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import ERASURES, EVENTS, RECOMMENDATIONS, DeadLetterHeaders
from operators.records.event_decode import EventDecoder
from operators.refresh.refresh_outputs import list_of, tombstone
from operators.settings import ScorerSettings, Settings
from operators.shopper.user_state import erase, step
from tests.benchmarks.fakes import Record
from tests.builders import NOW_MS, write_bundle

TAG = "t-"
SECONDS, USERS, GAP_MS = 20, 10, 100
LATE_MS, ERASED_MS, STRUCK_S = 10, 8_000, 9.0
ERASED, RETURNED = f"{TAG}erased", f"{TAG}returned"


def event(number: int, user: str, at_ms: int, **fields: Any) -> Record:
    """On the events topic, at `at_ms` after the start; the number is its offset."""
    body = {"event_id": f"e{number}", "event_type": "view", "event_time": NOW_MS + at_ms, "user_id": user,
            "item_id": f"i{1 + number % 8}"}  # fmt: skip
    value = json.dumps(body | fields).encode()
    return Record(user.encode(), value, offset=number, timestamp=NOW_MS + at_ms, topic=EVENTS)


def events() -> list[Record]:
    """Users in turn, one of them erased and one erased and back; two poison records and a duplicate."""
    records = [event(n, f"{TAG}{n % USERS}", n * GAP_MS) for n in range(SECONDS * 1000 // GAP_MS)]
    special = [(ERASED, 1000), (ERASED, 2000), (RETURNED, 3000), (RETURNED, 15_000), (RETURNED, 16_000)]
    records += [event(len(records) + n, user, at_ms + 50) for n, (user, at_ms) in enumerate(special)]
    records += [
        replace(event(len(records) + n, f"{TAG}1", 4070 + n), value=value) for n, value in enumerate((b"{", None))
    ]
    records.append(replace(records[30], offset=len(records), timestamp=NOW_MS + 5_070))
    return sorted(records, key=lambda record: record.timestamp)


@dataclass
class WrittenList:
    """A record of the output topic and when a reader has it (ms after the start)."""

    record: Record
    at_ms: float


@dataclass
class History:
    """What is on the topics when all is over."""

    bundle: Path
    delivery: str = "at-least-once"
    lists: list[WrittenList] = field(default_factory=list)
    letters: list[Record] = field(default_factory=list)
    observed: dict[str, Any] = field(default_factory=dict)  # fields of `Observed` that differ
    strikes: list[Strike] = field(
        default_factory=lambda: [Strike("kill taskmanager", "pid 1 gone, then pid 2", STRUCK_S, STRUCK_S)]
    )

    def __post_init__(self) -> None:
        self.events = events()
        self.erasures = [
            Record(user.encode(), json.dumps({"user_id": user, "requested_at": NOW_MS + ERASED_MS}).encode(),
                   timestamp=NOW_MS + ERASED_MS, topic=ERASURES)
            for user in (ERASED, RETURNED)
        ]  # fmt: skip
        self._run_job()

    @cached_property
    def _maker(self) -> ListMaker:
        bundle, settings = ModelBundle.load(self.bundle), Settings()
        shelf = Catalogue(bundle.vocabulary, settings.lists.catalogue_coverage)
        return ListMaker(bundle, Scorer(bundle, ScorerSettings(provider="cpu")), shelf, settings.lists, lambda: NOW_MS)

    def _run_job(self) -> None:
        """A job that does right: decode, step, list; and tombstones for erasures."""
        states, decoder, due = dict[str, bytes](), EventDecoder(Settings().events), list(self.erasures)
        for record in self.events:
            while due and due[0].timestamp < record.timestamp:
                self._erase(due.pop(0), states)
            try:
                event_of_record = decoder.decode(record.key.decode(), record.value, record.timestamp)
            except BadRecord as bad:
                self.letters.append(letter(record, bad.reason))
                continue
            result = step(states.get(event_of_record.user_id), event_of_record, 30 * 60_000, record.timestamp)
            states[event_of_record.user_id] = result.state
            if result.outcome == "applied":
                self._emit(event_of_record.user_id, result.state, record)

    def _emit(self, user: str, state: bytes, cause: Record) -> None:
        request = Request(user, state, cause.timestamp)
        (answer,) = self._maker.make_encoded([request], with_digest=True)
        assert not isinstance(answer, Exception)
        headers = tuple((list_of(answer, request).headers or {}).items())
        record = Record(user.encode(), answer.value, headers, topic=RECOMMENDATIONS)
        self.lists.append(WrittenList(record, cause.timestamp - NOW_MS + LATE_MS))

    def _erase(self, request: Record, states: dict[str, bytes]) -> None:
        user = request.key.decode()
        state = states[user] = erase(states.get(user), request.timestamp)
        headers = tuple((tombstone(user, state).headers or {}).items())
        self.lists.append(WrittenList(Record(request.key, None, headers), ERASED_MS + LATE_MS))

    def of(self, user: str) -> list[WrittenList]:
        """The records of a user in their order."""
        return [written for written in self.lists if written.record.key.decode() == user]

    def changed(self, written: WrittenList, change: Callable[[dict[str, Any]], object]) -> WrittenList:
        """The same list with another body."""
        assert written.record.value is not None
        body = json.loads(written.record.value)
        change(body)
        return replace(written, record=replace(written.record, value=json.dumps(body).encode()))

    def row(self) -> Row:
        """As the trial judges it."""
        settings, view = Settings(), ReaderView(TAG.encode())
        for written in self.lists:
            view.take(written.record, written.at_ms / 1000, NOW_MS + written.at_ms)
        oracle = Oracle(settings, self.events, erasures=self.erasures)
        good_events = len(self.events) - len(self.letters_wanted()) - 1
        observed = Observed(
            view=view,
            oracle=oracle,
            letters=self.letters,
            acknowledged=good_events,
            recovery=recovery(view, self.strikes, 0.0, float(SECONDS), 0.0),
            strikes=self.strikes,
        )

        def expected(users: Iterable[str]) -> dict[str, list[tuple[str, float]]]:
            return oracle.items(users, self.bundle, settings, [], NOW_MS)

        return judge("planted", 7, self.delivery, replace(observed, **self.observed), expected)

    def letters_wanted(self) -> list[Record]:
        """The poison."""
        return [
            event_record for event_record in self.events if event_record.value is None or event_record.value == b"{"
        ]


def letter(record: Record, reason: str, **fields: Any) -> Record:
    """The dead letter of a record."""
    headers = DeadLetterHeaders(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        stage="VALUE_CONVERTER",
        reason=reason,
        message="",
    )
    return replace(record, headers=tuple(headers.pairs().items()), **fields)


def known_bundle(folder: Path) -> Path:
    """A bundle whose scores are known."""
    return write_bundle(folder)
