"""Pairs of text and item for the search task: a query and the item that followed it, or a title and its item."""

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

WITHIN_MS = 10 * 60_000  # an item event later than this does not count as a result of the search
WORDS_KEPT = 0.5  # share of a title's words in a query made from it


@dataclass(frozen=True)
class Searches:
    """`texts` [S]: a query or a title; `rows` int32 [S]: the item that it leads to; `time_ms` int64 [S], 0 of a title."""

    texts: list[str]
    rows: npt.NDArray[np.int32]
    time_ms: npt.NDArray[np.int64]

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, int, int]]) -> "Searches":
        """Builds it from (text, row, time) tuples."""
        texts, rows, times = zip(*pairs, strict=True) if pairs else ((), (), ())
        return cls(list(texts), np.array(rows, dtype=np.int32), np.array(times, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.texts)

    def where(self, mask: npt.NDArray[Any]) -> "Searches":
        """The pairs that a boolean mask selects."""
        return Searches([self.texts[index] for index in np.flatnonzero(mask)], self.rows[mask], self.time_ms[mask])


def titles(catalogue: Iterable[CatalogueItem], words: Vocabulary) -> Searches:
    """The title of each known item that has one."""
    return Searches.of(
        [(item.title, words.row(item.item_id), 0) for item in catalogue if item.title and words.row(item.item_id)]
    )


def searches_of(events: Iterable[Event], words: Vocabulary, rating_middle: float = RATING_MIDDLE) -> Searches:
    """Each search with the first known item of the same user within `WITHIN_MS` after it. `events` in time order."""
    open_searches: dict[str, tuple[str, int]] = {}
    pairs, wishes = [], Wishes(rating_middle)
    for event in events:
        items = wishes.of(event)
        if event.event_type == "search" and event.query:
            open_searches[event.user_id] = (event.query, int(event.event_time))
        elif event.user_id in open_searches and (rows := [row for row in map(words.row, items) if row]):
            query, asked_ms = open_searches.pop(event.user_id)
            if event.event_time - asked_ms <= WITHIN_MS:
                pairs.append((query, rows[0], asked_ms))
    return Searches.of(pairs)


def some_of(words: Sequence[str], generator: np.random.Generator) -> list[str]:
    """A query made from a title: keeps each word with probability `WORDS_KEPT`, in order, at least one word."""
    mask = generator.random(len(words)) < WORDS_KEPT
    if len(words) and not mask.any():
        mask[generator.integers(len(words))] = True
    return [word for word, keep in zip(words, mask, strict=True) if keep]


def title_queries(titles: Searches, seed: int) -> Searches:
    """One query for each title, made of words drawn with a fixed seed."""
    generator = np.random.default_rng(seed)
    texts = [" ".join(some_of(words_of(text), generator)) for text in titles.texts]
    return Searches(texts, titles.rows, titles.time_ms)
