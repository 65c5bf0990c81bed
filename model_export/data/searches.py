"""Texts that lead to items: what was searched for before an item was met, and titles."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.data.dataset import Wishes
from operators.model.query_tower import words_of
from operators.records.contracts import CatalogueItem, Event
from operators.shopper.features import Vocabulary
from operators.shopper.user_state import RATING_MIDDLE

WITHIN_MS = 10 * 60_000  # an item that is met later was not met because of the search
WORDS_KEPT = 0.5  # of a title, in a query that is made of it


@dataclass(frozen=True)
class Searches:
    """`texts` [S]: a query or a title; `rows` int32 [S]: the item that it leads to; `time_ms` int64 [S], 0 of a title."""

    texts: list[str]
    rows: npt.NDArray[np.int32]
    time_ms: npt.NDArray[np.int64]

    @classmethod
    def of(cls, found: Sequence[tuple[str, int, int]]) -> "Searches":
        """From (text, row, time)."""
        texts, rows, times = zip(*found, strict=True) if found else ((), (), ())
        return cls(list(texts), np.array(rows, dtype=np.int32), np.array(times, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.texts)

    def where(self, mask: npt.NDArray[Any]) -> "Searches":
        """Those of a boolean mask."""
        return Searches([self.texts[at] for at in np.flatnonzero(mask)], self.rows[mask], self.time_ms[mask])


def titles(catalogue: Iterable[CatalogueItem], words: Vocabulary) -> Searches:
    """The title of each known item that has one."""
    return Searches.of(
        [(one.title, words.row(one.item_id), 0) for one in catalogue if one.title and words.row(one.item_id)]
    )


def searched(events: Iterable[Event], words: Vocabulary, rating_middle: float = RATING_MIDDLE) -> Searches:
    """Each search with the first known item that the same user met within `WITHIN_MS` of it. Events by time."""
    waiting: dict[str, tuple[str, int]] = {}
    found, wishes = [], Wishes(rating_middle)
    for event in events:
        wanted = wishes.of(event)
        if event.event_type == "search" and event.query:
            waiting[event.user_id] = (event.query, int(event.event_time))
        elif event.user_id in waiting and (rows := [row for row in map(words.row, wanted) if row]):
            query, asked_ms = waiting.pop(event.user_id)
            if event.event_time - asked_ms <= WITHIN_MS:
                found.append((query, rows[0], asked_ms))
    return Searches.of(found)


def some_of(words: Sequence[str], generator: np.random.Generator) -> list[str]:
    """A query made of a title: each word with a chance of `WORDS_KEPT`, in their order, at least one."""
    kept = generator.random(len(words)) < WORDS_KEPT
    if len(words) and not kept.any():
        kept[generator.integers(len(words))] = True
    return [word for word, keep in zip(words, kept, strict=True) if keep]


def asked_of_titles(known: Searches, seed: int) -> Searches:
    """A query for each title, some of its words drawn with a fixed seed."""
    generator = np.random.default_rng(seed)
    texts = [" ".join(some_of(words_of(text), generator)) for text in known.texts]
    return Searches(texts, known.rows, known.time_ms)
