"""The oracle: replays events and erasures in a single process through the same decoder, step and list maker."""

import contextlib
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operators.errors import BadRecord
from operators.lists.catalogue import Catalogue
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.catalogue_decode import read_record
from operators.records.event_decode import EventDecoder, decode_erasure, key_text
from operators.settings import Settings
from operators.shopper.user_state import digest, erase, last_event_ms, list_is_owed, order_of, step, version_of
from operators.time_units import DAY_MS

Order = tuple[int, int]  # epoch, version: readers keep the greatest
RecordPosition = tuple[str, int, int]  # topic, partition, offset


@dataclass(frozen=True)
class Refused:
    """A record that must be a dead letter."""

    reason: str
    key: bytes | None
    value: bytes | None


class Oracle:
    """The states, lists and dead letters that the job must produce from its records."""

    def __init__(
        self,
        settings: Settings,
        records: Iterable[Any],
        states: dict[str, bytes] | None = None,
        erasures: Iterable[Any] = (),
    ) -> None:
        """`records`, `erasures`: from their topics, in the order of each partition. `states`: the states at the start.

        An erasure covers the events that reached the broker before it or at the same moment, in whatever order the job
        reads the two topics. (If the job reads later events before the erasure, its state keeps only their steps, and the
        digest of that user may differ.)
        """
        self.states: dict[str, bytes] = dict(states or {})
        self.outcomes: Counter[str] = Counter()
        self.events: Counter[str] = Counter()  # user -> events except duplicates
        self.refused: dict[RecordPosition, Refused] = {}
        self.erased_users: set[str] = set()
        self._erasures: dict[str, deque[int]] = defaultdict(deque)  # user -> broker times, rising
        for record in erasures:
            self._add_erasure(record)
        decoder, gap_ms = EventDecoder(settings.events), settings.events.session_gap_ms
        lifetime_ms, middle = settings.job.state_ttl_days * DAY_MS, settings.events.rating_middle
        for record in records:
            self.outcomes["read"] += 1
            try:
                event = decoder.decode(key_text(record.key), record.value, record.timestamp)
            except BadRecord as bad:
                self.outcomes["dead"] += 1
                self._refuse(record, bad)
                continue
            self._forget(event.user_id, record.timestamp)
            result = step(self.states.get(event.user_id), event, gap_ms, record.timestamp, lifetime_ms, middle)
            self.states[event.user_id] = result.state
            self.outcomes[result.outcome] += 1
            self.events[event.user_id] += result.outcome != "duplicate"
        for user in [*self._erasures]:
            self._forget(user, None)

    def _add_erasure(self, record: Any) -> None:
        if record.value is None:  # the job's tombstone after the erasure
            return
        try:
            erasure = decode_erasure(key_text(record.key), record.value)
        except BadRecord as bad:
            self._refuse(record, bad)
            return
        self._erasures[erasure.user_id].append(record.timestamp)
        self.erased_users.add(erasure.user_id)

    def _refuse(self, record: Any, bad: BadRecord) -> None:
        position = (record.topic, record.partition, record.offset)
        self.refused[position] = Refused(bad.reason, record.key, record.value)

    def _forget(self, user: str, before_ms: int | None) -> None:
        """Applies the erasures of a user that arrived before `before_ms`, or all."""
        erasure_times = self._erasures[user] if user in self._erasures else deque[int]()
        while erasure_times and (before_ms is None or erasure_times[0] < before_ms):
            self.states[user] = erase(self.states.get(user), erasure_times.popleft())

    def expected_orders(self, users: Iterable[str]) -> dict[str, Order]:
        """User -> epoch and version that the newest list must have, for users who must have a list."""
        return {user: order_of(self.states[user]) for user in users if list_is_owed(self.states[user])}

    def forgotten_users(self, users: Iterable[str]) -> set[str]:
        """Users who were erased and have no event since; they must have no list."""
        return {user for user in users if user in self.erased_users and not list_is_owed(self.states[user])}

    def digests(self, users: Iterable[str]) -> dict[str, str]:
        """User -> digest of the state."""
        return {user: digest(self.states[user]) for user in users}

    def versions(self, users: Iterable[str]) -> dict[str, int]:
        """User -> version that the newest list must have."""
        return {user: version_of(self.states[user]) for user in users}

    def items(
        self, users: Iterable[str], bundle_folder: Path, settings: Settings, catalogue: Iterable[Any], now_ms: int
    ) -> dict[str, list[tuple[str, float]]]:
        """User -> items and scores of the list that the same bundle makes offline."""
        bundle = ModelBundle.load(bundle_folder)
        shelf = Catalogue(bundle.vocabulary, settings.lists.catalogue_coverage)
        for record in catalogue:
            key, value = record.key.decode(), record.value
            with contextlib.suppress(BadRecord):
                item = None if value is None else read_record(key, value, settings.events.placeholders)
                shelf.changed(key, item)
        list_maker = ListMaker(bundle, Scorer(bundle, settings.scorer), shelf, settings.lists, lambda: now_ms)
        lists: dict[str, list[tuple[str, float]]] = {}
        for user in users:
            state = self.states[user]
            (slate,) = list_maker.make([Request(user, state, last_event_ms(state))])
            if isinstance(slate, Exception):
                raise slate
            lists[user] = [(list_item.item_id, list_item.score) for list_item in slate.items]
        return lists
