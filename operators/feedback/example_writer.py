"""Examples as JSON for their topic."""

import base64
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec
import xxhash

from operators.experiments.assignment import more_than_one
from operators.feedback.served_record import Served, read_served
from operators.feedback.waiting_list import LABELS, ShownItem, WaitingList
from operators.records.contracts import Event, Example, Experiment, Label, Source, items_named

_encode = msgspec.json.Encoder().encode
decode_example = msgspec.json.Decoder(Example).decode
_NULL = msgspec.Raw(b"null")


class JsonExample(msgspec.Struct, gc=False):
    """An `Example` with parts that are JSON already; its fields in the same order."""

    example_id: str
    revision: int
    recommendation_id: str | None
    user_id: str
    item_id: str
    position: int | None
    placement: str | None
    shown_at: int | None
    label: Label
    model: msgspec.Raw
    experiment: msgspec.Raw
    propensity: float | None
    p_click: float | None
    source: Source | None
    organic: bool
    state: msgspec.Raw
    experiments: tuple[Experiment, ...] | msgspec.UnsetType


class WrittenExample(NamedTuple):
    """An example for its topic. `on_list`: whether its item was on the list as served; None if the list is not known."""

    value: bytes
    item: ShownItem
    on_list: bool | None


def example_id(user_id: str, recommendation_id: str, item_id: str, position: int | None) -> str:
    """The id of the example of an item of a list: equal in every replay. No id holds the separator."""
    return xxhash.xxh3_128_hexdigest(f"{user_id}\0{recommendation_id}\0{item_id}\0{position}".encode())


def organic_id(user_id: str, event_id: str, item_id: str) -> str:
    """The id of the example of an event without a list."""
    return xxhash.xxh3_128_hexdigest(f"{user_id}\0\0{event_id}\0{item_id}".encode())


def written(user_id: str, waiting: WaitingList, items: Iterable[ShownItem]) -> Iterator[WrittenExample]:
    """The next revision of the examples of some items of a list."""
    served = None if waiting.served is None else read_served(waiting.served)
    model, experiment, state = _shared(served)
    experiments = more_than_one(() if served is None else served.experiments)
    for item in items:
        shown = waiting.impressions[item.first]
        place = None if served is None else served.place_of(item.item_id)
        chances = None if served is None else served.propensities
        value = JsonExample(
            example_id(user_id, waiting.recommendation_id, item.item_id, item.position),
            item.written,
            waiting.recommendation_id,
            user_id,
            item.item_id,
            item.position,
            shown.placement,
            None if shown.missing else shown.shown_ms,
            LABELS[item.label],
            model,
            experiment,
            None if place is None or chances is None else float(chances[place]),
            None if place is None or served is None else served.p_click_at(place),
            None if place is None or served is None else served.source,
            False,
            state,
            experiments,
        )
        item.written, item.changed = item.written + 1, False
        yield WrittenExample(_encode(value), item, None if served is None else place is not None)


def written_organic(event: Event, label: int) -> Iterator[bytes]:
    """The examples of an outcome without a list, one for each of its items."""
    for item_id in items_named(event):
        value = Example(
            example_id=organic_id(event.user_id, event.event_id, item_id),
            revision=0,
            recommendation_id=None,
            user_id=event.user_id,
            item_id=item_id,
            position=None,
            placement=event.placement,
            shown_at=int(event.event_time),
            label=LABELS[label],
            model=None,
            experiment=None,
            propensity=None,
            source=None,
            organic=True,
            state=None,
        )
        yield _encode(value)


def _shared(served: Served | None) -> tuple[msgspec.Raw, msgspec.Raw, msgspec.Raw]:
    """What the examples of a list have in common: model, experiment, state."""
    if served is None:
        return _NULL, _NULL, _NULL
    state = msgspec.Raw(b'"%b"' % base64.b64encode(served.state)) if served.state else _NULL
    experiment = msgspec.Raw(_encode(served.experiments[0])) if served.experiments else _NULL
    return msgspec.Raw(_encode(served.model)), experiment, state
