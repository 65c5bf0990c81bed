"""The oracle: a single process that replays the events topic through the same decoder, step and list maker."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from operators.catalogue import Catalogue
from operators.decode import EventDecoder, key_text
from operators.errors import BadRecord
from operators.list_maker import ListMaker, Request
from operators.model_bundle import ModelBundle
from operators.scorer import Scorer
from operators.settings import Settings
from operators.user_state import digest, last_event_ms, step, version_of


class Oracle:
    """What the job must have made of the records it read."""

    def __init__(self, settings: Settings, records: Iterable[Any], states: dict[str, bytes] | None = None) -> None:
        """`records`: of the events topic as a consumer reads them, in the order of each partition; `states`: before."""
        self.states: dict[str, bytes] = dict(states or {})
        self.outcomes: Counter[str] = Counter()
        self.dead: set[tuple[int, int]] = set()  # partition and offset of each record that must be a dead letter
        decoder = EventDecoder(settings.events)
        lifetime_ms = settings.job.state_ttl_days * 86_400_000
        gap_ms = settings.events.session_gap_minutes * 60_000
        for record in records:
            self.outcomes["read"] += 1
            user = key_text(record.key)
            try:
                event = decoder.decode(user, record.value, record.timestamp)
            except BadRecord:
                self.outcomes["dead"] += 1
                self.dead.add((record.partition, record.offset))
                continue
            done = step(self.states.get(event.user_id), event, gap_ms, record.timestamp, lifetime_ms)
            self.states[event.user_id] = done.state
            self.outcomes[done.outcome] += 1

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
            shelf.changed(record.key.decode(), record.value)
        lists = ListMaker(bundle, Scorer(bundle, settings.scorer), shelf, settings.lists, lambda: now_ms)
        made = {}
        for user in users:
            state = self.states[user]
            (one,) = lists.make([Request(user, state, last_event_ms(state))])
            if isinstance(one, Exception):
                raise one
            made[user] = [(place.item_id, place.score) for place in one.items]
        return made
