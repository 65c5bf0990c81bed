"""User-state records -> model inputs. Job, storefront and trainer call these, so train/serve skew cannot exist."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.shopper.state_layout import HISTORY
from operators.shopper.user_state import id_hash

WINDOW = 20  # steps that a model sees unless its bundle says another number

Rows = npt.NDArray[np.int32]


class Vocabulary:
    """Item ids <-> model rows. Row 0 is padding and every unknown item; row i + 1 is `item_ids[i]`."""

    def __init__(self, item_ids: list[str]) -> None:
        self.item_ids = item_ids
        hashes = np.array([id_hash(item) for item in item_ids], dtype=np.uint64)
        order = np.argsort(hashes)
        self._sorted = hashes[order]
        self._rows = (order + 1).astype(np.int32)
        self._row_of = {item: row for row, item in enumerate(item_ids, start=1)}
        # low 32 bits by row, as `bought` and `shown_item` of the state keep them
        self.low_hashes = np.concatenate(([0], hashes & np.uint64(0xFFFFFFFF))).astype(np.uint32)

    def __len__(self) -> int:
        return len(self.item_ids)

    def row(self, item_id: str) -> int:
        """The row of an item, 0 for an unknown one."""
        return self._row_of.get(item_id, 0)

    def rows_of_hashes(self, hashes: npt.NDArray[np.uint64]) -> Rows:
        """xxh64 item hashes of any shape -> rows of the same shape (0 where unknown), with one search."""
        if not len(self._sorted):
            return np.zeros(hashes.shape, dtype=np.int32)
        places = np.searchsorted(self._sorted, hashes)
        np.minimum(places, len(self._sorted) - 1, out=places)
        return np.where(self._sorted[places] == hashes, self._rows[places], np.int32(0))


@dataclass(frozen=True)
class Features:
    """Inputs of a micro-batch of B users, oldest step first, known items only, padded with 0 on the right.

    `items` and `kinds`: int32 [B, W]; `length`: int32 [B]; `seconds`: uint32 [B, W], epoch s. W is the model's window.
    `steps`: int64 [B], the steps that each user ever took, with those of unknown items.
    """

    items: Rows
    kinds: Rows
    length: Rows
    seconds: npt.NDArray[np.uint32]
    steps: npt.NDArray[np.int64]

    def inputs(self) -> dict[str, Rows]:
        """The graph's inputs by name. A user without a known item gets length 1 of padding: ignore its scores."""
        return {"items": self.items, "kinds": self.kinds, "length": np.maximum(self.length, 1)}

    def where(self, mask: npt.NDArray[Any]) -> "Features":
        """The users of a boolean mask or an index."""
        return Features(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))

    @classmethod
    def joined(cls, parts: list["Features"]) -> "Features":
        """The users of all parts, in their order."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


def window_starts(steps: npt.NDArray[np.int64], window: int, hop: int) -> npt.NDArray[np.int64]:
    """The first step, in the count of all steps ever, that a model sees of users who took `steps` steps.

    A window begins at a multiple of `hop`, so it keeps its start for `hop` steps and holds `window` - `hop` + 1 to
    `window` steps once it is full. An encoder's state can go on from step to step while the start stays
    (`operators/model/encoder_cache.py`).
    """
    return np.maximum(-((window - steps) // hop) * hop, 0)


def features(states: npt.NDArray[Any], vocabulary: Vocabulary, window: int = WINDOW, hop: int = 1) -> Features:
    """The newest steps of each record of dtype `STATE` (shape [B]) as model inputs: at most `window` (at most `HISTORY`), from
    `window_starts` on."""
    steps = states["steps"].astype(np.int64)
    first = window_starts(steps, window, hop)
    held = steps - first
    position = np.arange(held.max(initial=0))  # items are looked up for the longest history, not for the whole window
    in_history = position < held[:, None]
    users, places = np.arange(len(states))[:, None], (first[:, None] + position) % HISTORY
    items = vocabulary.rows_of_hashes(states["item"][users, places])
    kinds = states["kind"][users, places].astype(np.int32)
    seconds = states["second"][users, places]
    known = in_history & (items > 0)
    length = known.sum(axis=1).astype(np.int32)
    if not np.array_equal(length, held):
        # close the gaps that unknown items leave
        order = np.argsort(~known, axis=1, kind="stable")
        items, kinds, seconds = (np.take_along_axis(a, order, axis=1) for a in (items, kinds, seconds))
    padding = position >= length[:, None]
    for steps_of in (items, kinds, seconds):
        steps_of[padding] = 0
    items, kinds, seconds = (_widened(steps_of, window) for steps_of in (items, kinds, seconds))
    return Features(items, kinds, length, seconds, steps)


def _widened(steps: npt.NDArray[Any], window: int) -> npt.NDArray[Any]:
    """[B, W] with zeros behind the steps."""
    if steps.shape[1] == window:
        return steps
    whole = np.zeros((len(steps), window), steps.dtype)
    whole[:, : steps.shape[1]] = steps
    return whole
