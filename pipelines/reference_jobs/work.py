"""The work of all contestants: Liveshelf's own kernel. Only the engine around it differs."""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from operators.configuration.shop_settings import ListSettings
from operators.lists.catalogue import Catalogue
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.event_decode import EventDecoder
from operators.settings import ScorerSettings, Settings
from operators.shopper.user_state import step

BATCH = 128


class Contest(msgspec.Struct, kw_only=True):
    """Settings of a contestant, as JSON in its first argument."""

    bootstrap: str
    source: str  # topic of events, read from its beginning
    target: str  # topic of lists
    group: str
    bundle: str
    folder: str  # for its state on disk
    batched: bool  # score micro-batches, or each event by itself
    worker: int = 0


class Work:
    """Decode, step, score, rank, encode; states are Liveshelf's bytes."""

    def __init__(self, bundle: Path) -> None:
        settings = Settings()
        loaded = ModelBundle.load(bundle)
        catalogue = Catalogue(loaded.vocabulary, settings.lists.catalogue_coverage)
        self._decode = EventDecoder(settings.events).decode
        self._limits = settings.events
        self._lists = ListMaker(
            loaded, Scorer(loaded, ScorerSettings(provider="cpu")), catalogue, ListSettings(), _now_ms
        )

    def apply(
        self, user: str, value: bytes, broker_ms: int, state: bytes | None
    ) -> tuple[bytes | None, Request | None]:
        """The state after an event, and the request to score; a duplicate changes nothing."""
        event = self._decode(user, value, broker_ms)
        result = step(state, event, self._limits.session_gap_ms, rating_middle=self._limits.rating_middle)
        if result.outcome != "applied" or not result.refresh:
            return state, None
        return result.state, Request(user, result.state, int(event.event_time), event.event_id)

    def make(self, requests: Sequence[Request]) -> list[tuple[bytes, bytes]]:
        """(key, list as JSON) for the newest request of each user; raises the model's error."""
        newest = [*{request.user_id: request for request in requests}.values()]
        records = []
        for start in range(0, len(newest), BATCH):
            batch = newest[start : start + BATCH]
            for request, answer in zip(batch, self._lists.make_encoded(batch), strict=True):
                if isinstance(answer, Exception):
                    raise answer
                records.append((request.user_id.encode(), answer.value))
        return records


def read_contest(argument: str) -> Contest:
    """Decodes the first argument."""
    return msgspec.json.decode(argument, type=Contest)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
