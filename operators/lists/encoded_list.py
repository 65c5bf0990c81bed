"""A list as bytes for its topic, with the fields that metrics and audits need."""

from typing import NamedTuple

import msgspec

from operators.lists.experiments import NO_ARM
from operators.lists.request import Request
from operators.records.contracts import RecommendationList
from operators.shopper.user_state import digest
from operators.telemetry.timeline import BatchTimes

_encode = msgspec.json.Encoder().encode


class Encoded(NamedTuple):
    """A list as it goes out; `times` of a list by the scorer thread, `state_digest` where audits are on."""

    value: bytes
    source: str
    arm: str
    event_time: int
    times: BatchTimes | None = None
    state_digest: str | None = None


def encoded(
    recommended: RecommendationList, request: Request, times: BatchTimes | None = None, *, with_digest: bool
) -> Encoded:
    """Encodes a list, with the fields that metrics and audits need."""
    arm = recommended.experiment.arm if recommended.experiment else NO_ARM
    fingerprint = digest(request.state) if with_digest else None
    return Encoded(encode_list(recommended), recommended.source, arm, recommended.event_time, times, fingerprint)


def encode_list(recommended: RecommendationList) -> bytes:
    """The list as JSON."""
    return _encode(recommended)
