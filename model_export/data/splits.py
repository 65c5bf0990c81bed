"""What a training learns from and is tested on: from canonical events, or from a folder of sessions."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from model_export.data.data_tests import check_training_data
from model_export.data.dataset import Examples, examples, ratings, read_events, vocabulary
from model_export.data.learnable import learnable
from model_export.data.searches import Searches, asked_of_titles, searched, titles
from model_export.data.sessions import SessionSet, learned
from operators.configuration.shop_settings import EventSettings
from operators.errors import EventsFileError
from operators.quality.catalogue_file_report import apart
from operators.records.contracts import CatalogueItem, Event
from operators.records.record_file import catalogue_file
from operators.shopper.features import Vocabulary

log = logging.getLogger(__name__)
DEFAULTS = EventSettings()
QUESTIONS = 10_000  # of an events file's test window, drawn with a fixed seed
MIN_EXAMPLES = 200
VALIDATION_SHARE = 0.06  # newest examples before the test
SEARCHED = 250_000  # newest examples before the validation window that the search for the number of epochs learns from


@dataclass(frozen=True)
class Texts:
    """What the search task learns from, searches and titles, and the queries that it is asked.

    `newcomers`: (id, title) of what is sold and came too seldom, or never, to be learned from events.
    """

    titles: Searches = field(default_factory=lambda: Searches.of([]))
    searched: Searches = field(default_factory=lambda: Searches.of([]))
    asked: Searches = field(default_factory=lambda: Searches.of([]))
    newcomers: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Split:
    """`known`: before the test; `test`: the questions; `timed`: whether the times are the shop's own; `rated`: the
    ratings before the test and in it, which are no questions."""

    words: Vocabulary
    known: Examples
    test: Examples
    timed: bool
    trained_on: dict[str, Any]
    protocol: str
    cleaning: dict[str, dict[str, int]] = field(default_factory=dict)
    texts: Texts = field(default_factory=Texts)
    rated: Examples | None = None


def of_events(
    events_file: Path,
    catalogue_file: Path | None,
    *,
    test_share: float,
    test_from: int | None,
    min_count: int,
    seed: int,
    window: int,
    limits: EventSettings = DEFAULTS,
) -> Split:
    """Split by time. Raises `EventsFileError` where the data fails its tests or is too little."""
    events = read_events(events_file, limits=limits)
    check_training_data(events, events_file.name)
    events, counts = learnable(events)
    newest = int(events[int(len(events) * (1 - test_share))].event_time)
    begin = newest if test_from is None else checked_begin(events, test_from)
    catalogue = None if catalogue_file is None else read_catalogue(catalogue_file, limits=limits)
    words = _words(events, catalogue, begin, min_count, limits.rating_middle)
    everything = examples(events, words, limits, window)
    known = everything.where(everything.time_ms < begin).alone()
    test = drawn_questions(everything.where(everything.time_ms >= begin), QUESTIONS, seed)
    _enough(known, test)
    return Split(
        words,
        known,
        test,
        timed=True,
        trained_on={"events": events_file.name, "from_ms": int(known.time_ms.min()), "to_ms": begin},
        protocol=f"time, test from {begin}",
        cleaning={
            "events": counts
            | {"events to learn from": len(events), "wishes for items that came often enough": len(everything)}
        },
        texts=_texts(catalogue or [], words, searched(events, words, limits.rating_middle), begin, seed),
        rated=ratings(events, words, limits, window),
    )


def checked_begin(events: list[Event], test_from: int) -> int:
    """`test_from`, the epoch ms at which the test begins. Raises `EventsFileError` where it is not within the times of
    the sorted `events`, and says so where it looks like seconds."""
    first, last = int(events[0].event_time), int(events[-1].event_time)
    if not first < test_from <= last:
        seconds = first < test_from * 1000 <= last
        raise EventsFileError(
            f"--test-from in epoch milliseconds after the first event, {first}, and up to the last, {last}",
            f"{test_from}{', which looks like seconds' if seconds else ''}",
            f"give --test-from {test_from * 1000}" if seconds else "name a time between",
        )
    return test_from


def of_sessions(read: SessionSet, window: int) -> Split:
    """The split that the folder has. Raises `EventsFileError` where it is too little."""
    words = read.vocabulary()
    if len(words) < 2:
        raise EventsFileError(
            "sessions of two different items or more", f"item {words.item_ids[0]} alone", "see docs/train.md"
        )
    known, test = learned(read.train, words, window), read.questions(words, window)
    _enough(known, test)
    return Split(
        words,
        known,
        test,
        timed=False,
        trained_on={"sessions": read.name, "from_ms": int(known.time_ms.min()), "to_ms": int(known.time_ms.max()) + 1},
        protocol=f"the folder's own: {len(read.train)} sessions to learn from, {len(test)} prefixes to test",
        cleaning=read.cleaning,
    )


def validation(split: Split, seed: int) -> tuple[Examples, Examples]:
    """What is known, split again by time: the newest to learn from, and the window after it as questions."""
    known = split.known
    begin = np.quantile(known.time_ms, 1 - VALIDATION_SHARE)
    before = np.flatnonzero(known.time_ms < begin)
    asked = drawn_questions(known.where(known.time_ms >= begin), QUESTIONS, seed)
    return known.where(before[-SEARCHED:]).alone(), asked


def drawn_questions(asked: Examples, count: int, seed: int) -> Examples:
    """Questions with at least one known item in the history, at most `count`, in their order; of a basket one."""
    warm = np.flatnonzero((asked.features.length > 0) & ~asked.bought_together())
    if len(warm) > count:
        warm = np.sort(np.random.default_rng(seed).choice(warm, count, replace=False))
    return asked.where(warm)


def read_catalogue(
    file: Path, tell: Callable[[str], object] = log.warning, limits: EventSettings = DEFAULTS
) -> list[CatalogueItem]:
    """The good records of a file; `tell` hears of those that are left out. Raises `EventsFileError` where most are bad."""
    records = catalogue_file(file, limits)
    items = list(records)
    records.refuse_mostly_bad()
    if records.bad:
        tell(records.left_out())
    return items


def _words(
    events: list[Event],
    catalogue: list[CatalogueItem] | None,
    test_from: int,
    min_count: int,
    rating_middle: float,
) -> Vocabulary:
    before = takewhile(lambda event: int(event.event_time) < test_from, events)
    words = vocabulary(before, min_count, rating_middle)
    if catalogue is None:
        return words
    sold = dict.fromkeys(item.item_id for item in catalogue)
    kept = [item for item in words.item_ids if item in sold]
    if said := apart(words.item_ids, sold):
        if not kept:
            raise EventsFileError("a catalogue of the items of the events", said, "name the items alike in both files")
        log.warning(said)
    return Vocabulary(kept)


def _texts(catalogue: list[CatalogueItem], words: Vocabulary, searches: Searches, begin: int, seed: int) -> Texts:
    """Asked are the searches of the test window, or, where there are none, some words of each title."""
    newest, of_items = searches.where(searches.time_ms >= begin), titles(catalogue, words)
    asked = newest if len(newest) else asked_of_titles(of_items, seed)
    new = {one.item_id: one.title for one in catalogue if one.title and not words.row(one.item_id)}
    return Texts(of_items, searches.where(searches.time_ms < begin), asked, list(new.items()))


def _enough(known: Examples, test: Examples) -> None:
    if len(known) < MIN_EXAMPLES or not len(test):
        raise EventsFileError(
            f"{MIN_EXAMPLES} item events before the test window and some in it",
            f"{len(known)} and {len(test)}",
            "give more events, or another --test-share",
        )
