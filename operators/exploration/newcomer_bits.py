"""The newcomers of a pool as arrays: for each model row one bit a newcomer that likes it, so that a micro-batch finds the
newcomers of all its candidates with one gather."""

from typing import Any

import numpy as np
import numpy.typing as npt

from operators.exploration.pool import Newcomer
from operators.shopper.features import Rows
from operators.shopper.user_state import id_hash

LOW = 0xFFFFFFFF
_WORD = 64

Lows = npt.NDArray[np.uint32]


class NewcomerBits:
    """M newcomers. `lows` uint32 [M]: the low 32 bits of the hashes of their ids, as a shopper's state keeps items."""

    def __init__(self, newcomers: tuple[Newcomer, ...], rows: int) -> None:
        """`rows`: of the model, with row 0."""
        self.all = newcomers
        count = len(newcomers)
        self.lows: Lows = np.array([id_hash(newcomer.item_id) & LOW for newcomer in newcomers], dtype=np.uint32)
        self._chances = np.array([newcomer.chance for newcomer in newcomers], dtype=np.float32)
        likes = np.array([row for newcomer in newcomers for row in newcomer.likes], dtype=np.int64)
        owners = np.repeat(np.arange(count), [len(newcomer.likes) for newcomer in newcomers])
        liked, places = np.unique(likes, return_inverse=True)
        flags = np.zeros((len(liked) + 1, -(-count // _WORD) * _WORD), dtype=bool)
        flags[places + 1, owners] = True
        packed = np.packbits(flags, axis=1, bitorder="little").view("<u8")
        self._bits = np.ascontiguousarray(packed.T)  # [words, liked rows + 1]
        self._place = np.zeros(rows, dtype=np.int32)  # of a model row in `_bits`; 0: nobody likes it
        self._place[liked] = np.arange(1, len(liked) + 1)
        self._seldom = np.zeros(1 << 16, dtype=bool)  # by the low 16 bits of a hash
        self._seldom[self.lows & 0xFFFF] = True

    def chances_of(self, rows: Rows) -> npt.NDArray[np.float32]:
        """float32 [B, M]: the chance of each newcomer that likes a candidate of the list, 0 of the others; `rows`: [B, K]."""
        if not self.all:
            return np.zeros((len(rows), 0), dtype=np.float32)
        places = self._place[rows]
        # word by word: numpy reduces the last axis several times as fast
        words = np.stack([np.bitwise_or.reduce(bits[places], axis=1) for bits in self._bits], axis=1)
        flags = np.unpackbits(words.view(np.uint8), axis=1, count=len(self.all), bitorder="little")
        return flags * self._chances

    def first_like(self, rows: Rows, newcomers: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """[E]: the column of the first candidate that the list's newcomer likes; `rows` [E, K], `newcomers` [E]: one a list."""
        words = self._bits[(newcomers // _WORD)[:, None], self._place[rows]]
        flags = words >> (newcomers % _WORD).astype(np.uint64)[:, None] & np.uint64(1)
        columns: npt.NDArray[np.intp] = flags.argmax(axis=1)
        return columns

    def may_know(self, *hashes: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """The users whose hashes (each [B, n]) may be those of a newcomer: seldom one who is not, and none is left out."""
        known = np.zeros(len(hashes[0]), dtype=bool)
        for of_users in hashes:
            known |= self._seldom[of_users.astype(np.uint16)].any(axis=1)
        return np.flatnonzero(known)
