"""A list as bytes for its topic, with the fields that metrics and audits need."""

from typing import NamedTuple

import msgspec
import xxhash

from operators.experiments.assignment import NO_ARM, Assigned, Experiments, more_than_one
from operators.lists.request import Request
from operators.records.contracts import Experiment, Model, Source
from operators.shopper.user_state import digest
from operators.telemetry.timeline import BatchTimes

_encode = msgspec.json.Encoder().encode
_hash = xxhash.xxh3_128_hexdigest


class Slate(NamedTuple):
    """What is on a list. `items`: a JSON array; `item_hashes`, `propensities` and `clicks`: as in `ListFacts`, the first None where
    nobody needs them."""

    source: Source
    items: bytes
    item_hashes: bytes | None = None
    propensities: bytes = b""
    clicks: bytes | None = None


class ListFacts(msgspec.Struct, array_like=True, gc=False):
    """What the feedback join needs of a list. `item_hashes`: the low 32 bits of the hashes of its items, best first,
    as little-endian uint32. `propensities`: of each item at its place, as little-endian float32; empty where exploration is off.
    `clicks`: their `p_click` as `operators.model.click_head.packed` has them, None without."""

    recommendation_id: str
    generated_at: int
    item_hashes: bytes
    propensities: bytes = b""
    clicks: bytes | None = None


class Encoded(msgspec.Struct, array_like=True, gc=False):
    """A list as it goes out, and as it crosses from the scorer process; `experiments`: the user's, first the one that the list
    names; `times` of a list by the model, `state_digest` where audits are on, `facts` where the feedback join is; `model`: whose
    list it is, set by the operator."""

    value: bytes
    source: str
    experiments: tuple[Experiment, ...] = ()
    state_digest: str | None = None
    times: BatchTimes | None = None
    facts: ListFacts | None = None
    model: Model | None = None

    @property
    def arm(self) -> str:
        """The arm that the list names, as a metric's label."""
        return self.experiments[0].arm if self.experiments else NO_ARM


class JsonList(msgspec.Struct, gc=False):
    """A `RecommendationList` whose model and items are JSON already; its fields in the same order."""

    recommendation_id: str
    user_id: str
    epoch: int
    version: int
    event_time: int
    event_id: str | None
    generated_at: int
    model: msgspec.Raw
    experiment: Experiment | None
    source: Source
    items: msgspec.Raw
    expires_at: int
    traceparent: str | None
    experiments: tuple[Experiment, ...] | msgspec.UnsetType


class ListEncoder:
    """Encodes the lists of one model. Thread-safe."""

    def __init__(self, model: Model, experiments: Experiments, time_to_live_ms: int) -> None:
        """`time_to_live_ms`: from a list's making to its expiry."""
        self._model = msgspec.Raw(_encode(model))
        self._model_id = f"\0{model.name}\0{model.version}"
        self._assigned = experiments.assigned
        self._time_to_live_ms = time_to_live_ms

    def encode(
        self,
        request: Request,
        order: tuple[int, int],
        slate: Slate,
        now_ms: int,
        times: BatchTimes | None = None,
        *,
        assigned: Assigned | None = None,
        with_digest: bool = False,
    ) -> Encoded:
        """The list of a request; `order`: (epoch, version) of its state; `assigned`: the user, None: to be found.

        The bytes are those that msgspec gives for the same `RecommendationList`. Each source has an id of its own: a fallback
        list and the model's list that follows it are two lists.
        """
        user, (epoch, version) = request.user_id, order
        experiments = (self._assigned(user) if assigned is None else assigned).experiments
        recommendation_id = _hash(f"{user}\0{epoch}.{version}{self._model_id}\0{slate.source}".encode())
        json_list = JsonList(
            recommendation_id,
            user,
            epoch,
            version,
            request.event_time,
            request.event_id,
            now_ms,
            self._model,
            experiments[0] if experiments else None,
            slate.source,
            msgspec.Raw(slate.items),
            now_ms + self._time_to_live_ms,
            request.traceparent,
            more_than_one(experiments),
        )
        return Encoded(
            _encode(json_list),
            slate.source,
            experiments,
            digest(request.state) if with_digest else None,
            times,
            None
            if slate.item_hashes is None
            else ListFacts(recommendation_id, now_ms, slate.item_hashes, slate.propensities, slate.clicks),
        )
