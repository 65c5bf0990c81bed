"""A list that went out, as the feedback join receives and keeps it: one compact record of bytes."""

import struct
from typing import NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import xxhash

from operators.errors import LiveshelfError
from operators.model.click_head import STEPS
from operators.records.contracts import Experiment, Model, RecommendationList, Source
from operators.shopper.user_state import id_hash

LAYOUT = 1
LOW = 0xFFFFFFFF
SOURCES: tuple[Source, ...] = get_args(Source)  # their places are stored
_SEPARATOR = "\0"  # of the names of experiments, and of arms: neither can hold it
MAX_PLACES = 65_000  # 65,535 in a stored item means that it has no position

HAS_PROPENSITIES, HAS_CLICKS = 1, 2
NO_CLICK = 0xFFFF  # an item without a click probability

# layout, place in SOURCES, items, what each item has (`HAS_…`), bytes of the state, generated_at, epoch, version, and the
# bytes of five texts
_HEAD = struct.Struct("<BBHBIqII5H")

Lows = npt.NDArray[np.uint32]
Propensities = npt.NDArray[np.float32]
Clicks = npt.NDArray[np.uint16]


class Served(NamedTuple):
    """A list as served. `experiments`: all of its user, the one that the list names first. `state`: the packed state that the
    list was made from, in the form in which it is stored.

    `items`: uint32 [N], the low 32 bits of the hashes of its items, best first; `propensities`: float32 [N], the
    probability of each item at its place, or None where it is not known; `clicks`: uint16 [N], the `p_click` of each item in
    steps of 1 / `STEPS`, `NO_CLICK` of an item without, or None where no item has one.
    """

    recommendation_id: str
    epoch: int
    version: int
    generated_at: int
    model: Model
    experiments: tuple[Experiment, ...]
    source: Source
    items: Lows
    propensities: Propensities | None
    state: bytes
    clicks: Clicks | None = None

    def place_of(self, item_id: str) -> int | None:
        """The place of an item, from 0; None if it is not on the list."""
        places = np.flatnonzero(self.items == low_hash(item_id))
        return int(places[0]) if len(places) else None

    def p_click_at(self, place: int) -> float | None:
        """The click probability of the item at a place; None if it has none."""
        return None if self.clicks is None or self.clicks[place] == NO_CLICK else int(self.clicks[place]) / STEPS


def low_hash(item_id: str) -> int:
    """The low 32 bits of an item's hash, as in `Vocabulary.low_hashes`."""
    return id_hash(item_id) & LOW


def list_hash(recommendation_id: str) -> int:
    """xxh64 of a list's id."""
    return xxhash.xxh64_intdigest(recommendation_id.encode())


def pack_served(served: Served) -> bytes:
    """The bytes of a list as served. Raises `LiveshelfError` for a list that is too long for them."""
    texts = [
        text.encode()
        for text in (
            served.recommendation_id,
            served.model.name,
            served.model.version,
            _SEPARATOR.join(experiment.name for experiment in served.experiments),
            _SEPARATOR.join(experiment.arm for experiment in served.experiments),
        )
    ]
    items, propensities = np.asarray(served.items, "<u4"), served.propensities
    if len(items) > MAX_PLACES:
        raise LiveshelfError(f"a list of at most {MAX_PLACES} items", f"{len(items)}", "lower lists.size")
    head = _HEAD.pack(
        LAYOUT,
        SOURCES.index(served.source),
        len(items),
        HAS_PROPENSITIES * (propensities is not None) + HAS_CLICKS * (served.clicks is not None),
        len(served.state),
        served.generated_at,
        served.epoch,
        served.version,
        *map(len, texts),
    )
    chances = b"" if propensities is None else np.asarray(propensities, "<f4").tobytes()
    clicks = b"" if served.clicks is None else np.asarray(served.clicks, "<u2").tobytes()
    return b"".join((head, *texts, items.tobytes(), chances, clicks, served.state))


def read_served(record: bytes) -> Served:
    """The inverse of `pack_served`. Raises `LiveshelfError` for other bytes."""
    if len(record) < _HEAD.size or record[0] != LAYOUT:
        raise _unreadable(record)
    _, source, items, has, state, generated_at, epoch, version, *lengths = _HEAD.unpack_from(record)
    chances, clicks = 4 * items * bool(has & HAS_PROPENSITIES), 2 * items * bool(has & HAS_CLICKS)
    if len(record) != _HEAD.size + sum(lengths) + 4 * items + chances + clicks + state:
        raise _unreadable(record)
    at, texts = _HEAD.size, list[str]()
    for length in lengths:
        texts.append(record[at : at + length].decode())
        at += length
    return Served(
        recommendation_id=texts[0],
        epoch=epoch,
        version=version,
        generated_at=generated_at,
        model=Model(texts[1], texts[2]),
        experiments=_experiments(texts[3], texts[4]),
        source=SOURCES[source],
        items=np.frombuffer(record, "<u4", items, at),
        propensities=np.frombuffer(record, "<f4", items, at + 4 * items) if chances else None,
        state=record[len(record) - state :],
        clicks=np.frombuffer(record, "<u2", items, at + 4 * items + chances) if clicks else None,
    )


def experiments_of(record: bytes) -> tuple[Experiment, ...]:
    """The experiments of a record of `pack_served`; cheaper than `read_served`, most of all where there are none."""
    *_, id_length, name_length, version_length, names_length, arms_length = _HEAD.unpack_from(record)
    if not names_length:
        return ()
    names_at = _HEAD.size + id_length + name_length + version_length
    arms_at = names_at + names_length
    return _experiments(record[names_at:arms_at].decode(), record[arms_at : arms_at + arms_length].decode())


def _experiments(names: str, arms: str) -> tuple[Experiment, ...]:
    if not names:
        return ()
    return tuple(map(Experiment, names.split(_SEPARATOR), arms.split(_SEPARATOR)))


class ServedHead(NamedTuple):
    """What the join needs of every list when it goes out."""

    recommendation_id: str
    generated_at: int
    epoch: int


def read_head(record: bytes) -> ServedHead:
    """The head of a record of `pack_served`; cheaper than `read_served`. Raises `LiveshelfError` for other bytes."""
    if len(record) < _HEAD.size or record[0] != LAYOUT:
        raise _unreadable(record)
    _, _, _, _, _, generated_at, epoch, _, id_length, *_ = _HEAD.unpack_from(record)
    return ServedHead(record[_HEAD.size : _HEAD.size + id_length].decode(), generated_at, epoch)


def served_of(shown: RecommendationList, state: bytes, propensities: Propensities | None = None) -> Served:
    """A list from its topic with the state that it was made from."""
    return Served(
        recommendation_id=shown.recommendation_id,
        epoch=shown.epoch,
        version=shown.version,
        generated_at=shown.generated_at,
        model=shown.model,
        experiments=shown.experiments or (() if shown.experiment is None else (shown.experiment,)),
        source=shown.source,
        items=np.array([low_hash(item.item_id) for item in shown.items], dtype=np.uint32),
        propensities=propensities,
        state=state,
        clicks=_clicks_of(shown),
    )


def _clicks_of(shown: RecommendationList) -> Clicks | None:
    steps = [NO_CLICK if item.p_click is None else round(item.p_click * STEPS) for item in shown.items]
    return np.array(steps, dtype=np.uint16) if any(step != NO_CLICK for step in steps) else None


def _unreadable(record: bytes) -> LiveshelfError:
    return LiveshelfError(
        f"a list as served, of layout {LAYOUT}",
        f"{len(record)} bytes that begin with {record[:1].hex() or 'nothing'}",
        "start the job with the Liveshelf version that wrote this state, or newer",
    )
