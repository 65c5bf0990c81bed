"""Places a query among the items: hashed words and character trigrams, each with a learned vector.

The form is FastText's (Bojanowski et al., TACL 2017): the mean of the parts' vectors, here plus a bias, at unit length. The trainer
learns it (`model_export/models/search_task.py`), the storefront uses it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xxhash

BUCKETS = 1 << 15
FILES = ("query_buckets", "query_vectors")
_word = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """Lower-case words."""
    return _word.findall(text.lower())


def buckets(words: Sequence[str]) -> list[int]:
    """Places 1 to `BUCKETS` of the words and of their character trigrams; of nothing [0]."""
    grams = [f"<{word}>"[at : at + 3] for word in words for at in range(len(word))]
    return [1 + xxhash.xxh32_intdigest(part.encode()) % BUCKETS for part in (*words, *grams)] or [0]


@dataclass(frozen=True)
class QueryTower:
    """`buckets` int32 [P]: the learned buckets, ascending; `vectors` float32 [P + 1, d]: the bias, then one for each."""

    buckets: npt.NDArray[np.int32]
    vectors: npt.NDArray[np.float32]

    def place(self, text: str) -> npt.NDArray[np.float32] | None:
        """float32 [d] of unit length; None if the training learned no part of the text."""
        query_buckets = np.array(buckets(words_of(text)), dtype=np.int32)
        places = np.searchsorted(self.buckets, query_buckets)
        places = places[np.isin(query_buckets, self.buckets)]
        if not len(places):
            return None
        mean = self.vectors[0] + self.vectors[places + 1].mean(axis=0)
        unit: npt.NDArray[np.float32] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return unit
