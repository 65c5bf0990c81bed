"""What the refresh operator tells the feedback join: outputs of the kind "feedback", where `feedback.enabled` is set."""

from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np

from operators.experiments.plan import ExperimentPlan
from operators.feedback.join_entries import (
    JOINED_TYPES,
    ArmsEntry,
    ClocksEntry,
    EventEntry,
    ForgottenEntry,
    JoinEntry,
    ServedEntry,
    encode_entry,
)
from operators.feedback.served_record import SOURCES, Served, pack_served
from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.records.contracts import EVENTS, Event, Model, Source
from operators.records.event_decode import key_bytes
from operators.refresh.refresh_records import InputRecord, Output, Turn
from operators.shopper.state_layout import CONSENT_REFUSED, FLAGS_AT, stored
from operators.shopper.user_state import order_of

_SOURCES: dict[str, Source] = {source: source for source in SOURCES}


class FeedbackOutputs:
    """Makes the outputs of one job. A user who refused consent gives none but the consent event itself: the join forgets a
    refusal after some days, the user's state does not."""

    def __init__(
        self, champion: Callable[[], Model], running: Callable[[], tuple[ExperimentPlan, ...]] = lambda: ()
    ) -> None:
        """`champion`: the model of lists that do not say whose they are; `running`: the experiments of now."""
        self._champion, self._running = champion, running
        self._told: tuple[ExperimentPlan, ...] = ()

    def of_lists(self, lists: Sequence[tuple[Encoded, Request]]) -> Iterable[Output]:
        """Lists that go out, each with the request that it answers. A list without facts is left out."""
        for encoded, request in lists:
            facts, state = encoded.facts, request.state
            if facts is None or state[FLAGS_AT] & CONSENT_REFUSED:
                continue
            epoch, version = order_of(state)
            served = Served(
                recommendation_id=facts.recommendation_id,
                epoch=epoch,
                version=version,
                generated_at=facts.generated_at,
                model=encoded.model or self._champion(),
                experiments=encoded.experiments,
                source=_SOURCES[encoded.source],
                items=np.frombuffer(facts.item_hashes, "<u4"),
                propensities=np.frombuffer(facts.propensities, "<f4") if facts.propensities else None,
                state=stored(state),
                clicks=None if facts.clicks is None else np.frombuffer(facts.clicks, "<u2"),
            )
            yield _output(request.user_id, ServedEntry(pack_served(served)))

    def of_event(self, event: Event, state: bytes, record: InputRecord) -> list[Output]:
        """An event that was applied; `state`: after it."""
        kind = event.event_type
        if kind not in JOINED_TYPES or (kind != "consent" and state[FLAGS_AT] & CONSENT_REFUSED):
            return []
        try:
            return [_output(event.user_id, EventEntry(event, record.partition, record.broker_ms))]
        except OverflowError:  # an integer of more than 64 bits, where JSON has none: the join does without it
            consent = {"personalisation": (event.context or {}).get("personalisation")} if kind == "consent" else None
            small = msgspec.structs.replace(event, position=None, context=consent)
            return [_output(event.user_id, EventEntry(small, record.partition, record.broker_ms))]

    def of_erasure(self, record: InputRecord, state: bytes) -> Output:
        """An erasure; `state`: after it."""
        epoch, _ = order_of(state)
        return _output(record.user, ForgottenEntry(record.broker_ms, epoch))

    def of_batch(self, turns: Sequence[Turn]) -> list[Output]:
        """How far the records of a batch reach in the partitions of the events, and which experiments run since then: the last
        outputs of the batch."""
        newest_ms, last = dict[int, int](), None
        for turn in turns:
            if (record := turn.record) is not None and record.topic == EVENTS:
                last, partition = record, record.partition
                newest_ms[partition] = max(record.broker_ms, newest_ms.get(partition, record.broker_ms))
        if last is None:
            return []
        outputs = [_output(last.user, ClocksEntry(newest_ms))]
        if (running := self._running()) != self._told:
            self._told, arms = running, [(plan.name, arm.name) for plan in running for arm in plan.arms]
            outputs.append(_output(last.user, ArmsEntry(arms)))
        return outputs


def _output(user: str, entry: JoinEntry) -> Output:
    return Output("feedback", key_bytes(user), encode_entry(entry))
