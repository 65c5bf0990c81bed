"""Splits data into training and test: canonical events by time, or a folder of sessions as it is split."""

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
from model_export.data.searches import Searches, searches_of, title_queries, titles
from model_export.data.sessions import SessionSet, session_examples
from operators.configuration.shop_settings import EventSettings
from operators.errors import EventsFileError
from operators.quality.catalogue_file_report import apart
from operators.records.contracts import CatalogueItem, Event
from operators.records.record_file import catalogue_file
from operators.shopper.features import Vocabulary

log = logging.getLogger(__name__)
DEFAULTS = EventSettings()
QUESTIONS = 10_000  # maximum, drawn from the test window with a fixed seed
MIN_EXAMPLES = 200
VALIDATION_SHARE = 0.06  # newest examples before the test
SEARCH_EXAMPLES = 250_000  # maximum number of training examples in the search for the number of epochs


@dataclass(frozen=True)
class Texts:
    """The data of the search task: searches and titles to learn from, and the test `queries`.

    `cold_items`: (id, title) of items on sale with too few events, or none, to learn from.
    """

    titles: Searches = field(default_factory=lambda: Searches.of([]))
    searches: Searches = field(default_factory=lambda: Searches.of([]))
    queries: Searches = field(default_factory=lambda: Searches.of([]))
    cold_items: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Split:
    """`train`: the examples before the test; `test`: the questions; `timed`: whether the times are real; `rated`: the
    ratings before and in the test, which are not questions; `later`: all examples of the test window, None in session files."""

    words: Vocabulary
    train: Examples
    test: Examples
    timed: bool
    trained_on: dict[str, Any]
    protocol: str
    cleaning: dict[str, dict[str, int]] = field(default_factory=dict)
    texts: Texts = field(default_factory=Texts)
    rated: Examples | None = None
    later: Examples | None = None


def of_events(
    events_file: Path,
    catalogue_file: Path | None,
    *,
    test_share: float,
    test_from: int | None,
    min_count: int,
    seed: int,
    window: int,
    hop: int = 1,
    limits: EventSettings = DEFAULTS,
) -> Split:
    """Splits events by time. Raises `EventsFileError` when the data fails its tests or is too small."""
    events = read_events(events_file, limits=limits)
    check_training_data(events, events_file.name)
    events, counts = learnable(events)
    newest = int(events[int(len(events) * (1 - test_share))].event_time)
    test_start_ms = newest if test_from is None else checked_test_start(events, test_from)
    catalogue = None if catalogue_file is None else read_catalogue(catalogue_file, limits=limits)
    words = _words(events, catalogue, test_start_ms, min_count, limits.rating_middle)
    all_examples = examples(events, words, limits, window, hop)
    train = all_examples.where(all_examples.time_ms < test_start_ms).with_own_outcomes()
    later = all_examples.where(all_examples.time_ms >= test_start_ms)
    test = drawn_questions(later, QUESTIONS, seed)
    _refuse_too_small(train, test)
    return Split(
        words,
        train,
        test,
        timed=True,
        trained_on={"events": events_file.name, "from_ms": int(train.time_ms.min()), "to_ms": test_start_ms},
        protocol=f"time, test from {test_start_ms}",
        cleaning={
            "events": counts
            | {"events to learn from": len(events), "wishes for items that came often enough": len(all_examples)}
        },
        texts=_texts(catalogue or [], words, searches_of(events, words, limits.rating_middle), test_start_ms, seed),
        rated=ratings(events, words, limits, window, hop),
        later=later,
    )


def checked_test_start(events: list[Event], test_from: int) -> int:
    """Returns `test_from` (epoch ms). Raises `EventsFileError` if it is outside the times of the sorted `events`; the error
    says if it looks like seconds."""
    first, last = int(events[0].event_time), int(events[-1].event_time)
    if not first < test_from <= last:
        seconds = first < test_from * 1000 <= last
        raise EventsFileError(
            f"--test-from in epoch milliseconds after the first event, {first}, and up to the last, {last}",
            f"{test_from}{', which looks like seconds' if seconds else ''}",
            f"give --test-from {test_from * 1000}" if seconds else "name a time between",
        )
    return test_from


def of_sessions(session_set: SessionSet, window: int, hop: int = 1) -> Split:
    """The folder's own split. Raises `EventsFileError` when it is too small."""
    words = session_set.vocabulary()
    if len(words) < 2:
        raise EventsFileError(
            "sessions of two different items or more", f"item {words.item_ids[0]} alone", "see docs/train.md"
        )
    train = session_examples(session_set.train, words, window, hop)
    test = session_set.questions(words, window, hop)
    _refuse_too_small(train, test)
    return Split(
        words,
        train,
        test,
        timed=False,
        trained_on={
            "sessions": session_set.name,
            "from_ms": int(train.time_ms.min()),
            "to_ms": int(train.time_ms.max()) + 1,
        },
        protocol=f"the folder's own: {len(session_set.train)} sessions to learn from, {len(test)} prefixes to test",
        cleaning=session_set.cleaning,
    )


def validation(split: Split, seed: int) -> tuple[Examples, Examples]:
    """Splits the training examples again by time: (examples to learn from, questions of the window after them)."""
    train = split.train
    start_ms = np.quantile(train.time_ms, 1 - VALIDATION_SHARE)
    earlier = np.flatnonzero(train.time_ms < start_ms)
    questions = drawn_questions(train.where(train.time_ms >= start_ms), QUESTIONS, seed)
    return train.where(earlier[-SEARCH_EXAMPLES:]).with_own_outcomes(), questions


def drawn_questions(questions: Examples, count: int, seed: int) -> Examples:
    """At most `count` questions with a known item in the history, in their order; one for each purchase."""
    warm = np.flatnonzero((questions.features.length > 0) & ~questions.bought_together())
    if len(warm) > count:
        warm = np.sort(np.random.default_rng(seed).choice(warm, count, replace=False))
    return questions.where(warm)


def read_catalogue(
    file: Path, warn: Callable[[str], object] = log.warning, limits: EventSettings = DEFAULTS
) -> list[CatalogueItem]:
    """The good records of a file. `warn` gets a line about the records left out. Raises `EventsFileError` when most are bad."""
    records = catalogue_file(file, limits)
    items = list(records)
    records.refuse_mostly_bad()
    if records.bad:
        warn(records.left_out())
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
    known_items = [item for item in words.item_ids if item in sold]
    if mismatch := apart(words.item_ids, sold):
        if not known_items:
            raise EventsFileError(
                "a catalogue of the items of the events", mismatch, "name the items alike in both files"
            )
        log.warning(mismatch)
    return Vocabulary(known_items)


def _texts(
    catalogue: list[CatalogueItem], words: Vocabulary, searches: Searches, test_start_ms: int, seed: int
) -> Texts:
    """The test queries are the searches of the test window, or without searches some words of each title."""
    test_searches, item_titles = searches.where(searches.time_ms >= test_start_ms), titles(catalogue, words)
    queries = test_searches if len(test_searches) else title_queries(item_titles, seed)
    cold_items = {item.item_id: item.title for item in catalogue if item.title and not words.row(item.item_id)}
    return Texts(item_titles, searches.where(searches.time_ms < test_start_ms), queries, list(cold_items.items()))


def _refuse_too_small(train: Examples, test: Examples) -> None:
    if len(train) < MIN_EXAMPLES or not len(test):
        raise EventsFileError(
            f"{MIN_EXAMPLES} item events before the test window and some in it",
            f"{len(train)} and {len(test)}",
            "give more events, or another --test-share",
        )
