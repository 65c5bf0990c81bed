"""The oracle: a single process that replays events and erasures through the same decoder, step and list maker."""

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
Source = tuple[str, int, int]  # topic, partition, offset


@dataclass(frozen=True)
class Refused:
    """A record that must be a dead letter."""

    reason: str
    key: bytes | None
    value: bytes | None


class Oracle:
    """What the job must have made of the records it read."""

    def __init__(
        self,
        settings: Settings,
        records: Iterable[Any],
        states: dict[str, bytes] | None = None,
        erasures: Iterable[Any] = (),
    ) -> None:
        """`records`, `erasures`: of their topics as a consumer reads them, in the order of each partition; `states`: before.

        An erasure forgets the events that arrived at the broker before it or at its moment, in whatever order the job
        reads the two topics. (Of events from after it that the job reads first, the job's state keeps the steps alone: the
        digest of such a user may differ.)
        """
        self.states: dict[str, bytes] = dict(states or {})
        self.outcomes: Counter[str] = Counter()
        self.events: Counter[str] = Counter()  # user -> events that were applied or, after an erasure, left out
        self.refused: dict[Source, Refused] = {}
        self.asked_to_forget: set[str] = set()
        self._erasures: dict[str, deque[int]] = defaultdict(deque)  # user -> broker times, rising
        for record in erasures:
            self._await(record)
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

    def _await(self, record: Any) -> None:
        if record.value is None:  # the job's tombstone, when it was done
            return
        try:
            erasure = decode_erasure(key_text(record.key), record.value)
        except BadRecord as bad:
            self._refuse(record, bad)
            return
        self._erasures[erasure.user_id].append(record.timestamp)
        self.asked_to_forget.add(erasure.user_id)

    def _refuse(self, record: Any, bad: BadRecord) -> None:
        place = (record.topic, record.partition, record.offset)
        self.refused[place] = Refused(bad.reason, record.key, record.value)

    def _forget(self, user: str, before_ms: int | None) -> None:
        """The erasures of a user that arrived before that moment, or all."""
        waiting = self._erasures[user] if user in self._erasures else deque[int]()
        while waiting and (before_ms is None or waiting[0] < before_ms):
            self.states[user] = erase(self.states.get(user), waiting.popleft())

    def expected_orders(self, users: Iterable[str]) -> dict[str, Order]:
        """User -> epoch and version that the newest list must have; those who are owed a list only."""
        return {user: order_of(self.states[user]) for user in users if list_is_owed(self.states[user])}

    def forgotten(self, users: Iterable[str]) -> set[str]:
        """Who was erased and has done nothing since: no list of them may be left."""
        return {user for user in users if user in self.asked_to_forget and not list_is_owed(self.states[user])}

    def digests(self, users: Iterable[str]) -> dict[str, str]:
        """User -> fingerprint of the state."""
        return {user: digest(self.states[user]) for user in users}

    def versions(self, users: Iterable[str]) -> dict[str, int]:
        """User -> the version that the newest list must have."""
        return {user: version_of(self.states[user]) for user in users}

    def items(
        self, users: Iterable[str], bundle_folder: Path, settings: Settings, catalogue: Iterable[Any], now_ms: int
    ) -> dict[str, list[tuple[str, float]]]:
        """User -> (item, score) of the list that the same bundle makes offline."""
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
            lists[user] = [(place.item_id, place.score) for place in slate.items]
        return lists
