"""What an encoder keeps of a user's steps, for recent users: the next list needs the new steps alone.

An entry holds the steps that it was computed from, and serves only where they begin the user's steps now. So it is right
after an erasure, in a new epoch, for an older request and where the window has moved on. A new model has a new cache.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from operators.shopper.features import Rows

KINDS = 256  # a step's code is its item's row times this, and its kind: the largest bundle's codes fit into int32
NOT_KEPT = -1
NAME_BYTES = 256  # of a user's id and its place in Python, about

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Kept:
    """What the cache holds of the users of a micro-batch.

    `places` int64 [B], `NOT_KEPT` for a user without an entry of their own; `known` int32 [B]: how many of the user's steps
    the entry covers; `codes` int32 [B, W]: the user's steps now.
    """

    places: npt.NDArray[np.int64]
    known: Rows
    codes: Rows

    def where(self, users: npt.NDArray[np.intp]) -> "Kept":
        """These users."""
        return Kept(self.places[users], self.known[users], self.codes[users])


class EncoderCache:
    """Entries of as many recent users as `max_bytes` hold; the user who was not asked for longest goes first."""

    def __init__(self, max_bytes: int, window: int, state_width: int, key_width: int) -> None:
        """`state_width`: numbers of the hidden state; `key_width`: numbers kept of each step, 0 where the encoder needs none."""
        self._window, self._key_width = window, key_width
        entry = 4 * (window + 1 + state_width + window * key_width) + NAME_BYTES
        self.users = max_bytes // entry
        self.bytes = self.users * entry
        self.hits = self.misses = self.check_failures = 0
        # zeros cost no memory until they are written
        self._codes = np.zeros((self.users, window), np.int32)
        self._known = np.zeros(self.users, np.int32)
        self._states = np.zeros((self.users, state_width), np.float32)
        self._keys = np.zeros((self.users, window, key_width), np.float32)
        self._turn, self._asked_in = 0, [0] * self.users
        self.clear()

    def clear(self) -> None:
        """Forgets all users."""
        self._known[:] = 0
        self._place_of: OrderedDict[str, int] = OrderedDict()  # the newest last
        self._free = [*range(self.users)]

    def find(self, users: Sequence[str], items: Rows, kinds: Rows) -> Kept:
        """The entries of these users, whose steps are `items` and `kinds` [B, W], padded with 0. Every user gets an entry for
        `store`, unless the batch alone fills the cache or names a user twice."""
        self._turn += 1
        codes = items * KINDS + kinds
        places = np.fromiter(map(self._place, users), np.int64, len(users))
        known = np.where(places == NOT_KEPT, 0, self._known[places]) if self.users else np.zeros(len(users), np.int32)
        if known.any():
            begins = (self._codes[places] == codes) | (np.arange(self._window) >= known[:, None])
            known *= begins.all(axis=1)
        hits = int(np.count_nonzero(known))
        self.hits += hits
        self.misses += len(users) - hits
        return Kept(places, known.astype(np.int32), codes)

    def read(self, kept: Kept) -> tuple[Floats, Floats]:
        """(states [B, state_width], keys [B, H, key_width]), H the most steps that an entry covers, at least 1. States of users
        without an entry are zero, and keys behind `known` any numbers."""
        held = max(int(kept.known.max(initial=0)), 1)
        if held == 1 and not kept.known.any():
            return (
                np.zeros((len(kept.known), self._states.shape[1]), np.float32),
                np.zeros((len(kept.known), 1, self._key_width), np.float32),
            )
        states = self._states[kept.places]
        states[kept.known == 0] = 0
        return states, self._keys[kept.places, :held]

    def store(self, kept: Kept, length: Rows, states: Floats, keys: Floats) -> None:
        """After the encoder has read the steps from `known` to `length` [B]: its states [B, state_width], and the keys of these
        steps [B, S, key_width]. Numbers that are not finite are not kept."""
        own = kept.places != NOT_KEPT
        if not own.all():
            kept, length, states, keys = kept.where(np.flatnonzero(own)), length[own], states[own], keys[own]
        places, known = kept.places, kept.known
        self._codes[places] = kept.codes
        self._states[places] = states
        is_finite = np.isfinite(states)
        self._known[places] = length if is_finite.all() else np.where(is_finite.all(axis=1), length, 0)
        if self._key_width:
            user, step = np.nonzero(np.arange(keys.shape[1]) < (length - known)[:, None])
            self._keys[places[user], known[user] + step] = keys[user, step]

    def _place(self, user: str) -> int:
        place = self._place_of.get(user)
        if place is None:
            return self._new_place(user)
        if (
            self._asked_in[place] == self._turn
        ):  # twice in a batch: the second would read what the first has not stored yet
            return NOT_KEPT
        self._asked_in[place] = self._turn
        self._place_of.move_to_end(user)
        return place

    def _new_place(self, user: str) -> int:
        place: int
        if self._free:
            place = self._free.pop()
        elif not self.users:
            return NOT_KEPT
        else:
            oldest, place = next(iter(self._place_of.items()))
            if self._asked_in[place] == self._turn:
                return NOT_KEPT
            del self._place_of[oldest]
        self._known[place] = 0
        self._asked_in[place] = self._turn
        self._place_of[user] = place
        return place
