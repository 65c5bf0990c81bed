"""The work that all contestants do: Liveshelf's own kernel. What differs is the engine around it, and nothing else."""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from operators.configuration.shop_settings import ListSettings
from operators.lists.catalogue import Catalogue
from operators.lists.encoded_list import encode_list
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.event_decode import EventDecoder
from operators.settings import ScorerSettings, Settings
from operators.shopper.user_state import step

BATCH = 128


class Contest(msgspec.Struct, kw_only=True):
    """What a contestant is told, as JSON in its first argument."""

    bootstrap: str
    source: str  # topic of events, read from its beginning
    target: str  # topic of lists
    group: str
    bundle: str
    folder: str  # for its state on disk
    batched: bool  # score micro-batches, or each event by itself
    worker: int = 0


class Work:
    """Decode, step, score, rank, encode, with state as the bytes that Liveshelf keeps."""

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
        """The state after an event, and what is to be scored; a duplicate changes nothing."""
        event = self._decode(user, value, broker_ms)
        done = step(state, event, self._limits.session_gap_ms, rating_middle=self._limits.rating_middle)
        if done.outcome != "applied" or not done.refresh:
            return state, None
        return done.state, Request(user, done.state, int(event.event_time), event.event_id)

    def make(self, requests: Sequence[Request]) -> list[tuple[bytes, bytes]]:
        """(key, list as JSON) of each user once, for the newest of their requests; raises what the model raised."""
        newest = [*{request.user_id: request for request in requests}.values()]
        made = []
        for begin in range(0, len(newest), BATCH):
            part = newest[begin : begin + BATCH]
            for request, recommended in zip(part, self._lists.make(part), strict=True):
                if isinstance(recommended, Exception):
                    raise recommended
                made.append((request.user_id.encode(), encode_list(recommended)))
        return made


def told(argument: str) -> Contest:
    """The first argument."""
    return msgspec.json.decode(argument, type=Contest)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
