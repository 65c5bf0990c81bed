"""Turns canonical events into training and test examples, with the same `step` and `features` as the job."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace as replaced

from model_export.data.outcomes import outcomes
from operators.configuration.shop_settings import EventSettings
from operators.errors import EventsFileError
from operators.records.contracts import Event, items_named
from operators.records.record_file import event_file
from operators.settings import load_settings
from operators.shopper.features import WINDOW, Features, Vocabulary, features
from operators.shopper.state_layout import EMPTY, read_states
from operators.shopper.user_state import BOUGHT, KINDS, RATING_MIDDLE, is_low_rating, is_return, session_start_s, step

log = logging.getLogger(__name__)
DEFAULTS = EventSettings()
WISHES = ("view", "click", "add_to_cart", "purchase", "rate")
CHUNK = 4096
NEGATIVE_KINDS = (KINDS["remove_from_cart"],)


@dataclass(frozen=True)
class Examples:
    """Questions, each just before a positive event: which item comes next?

    `features`: B rows as the job would compute them at that moment; `target`: int32 [B], model row of the item;
    `kind`: uint8 [B], of that event (`KINDS`); `time_ms`: int64 [B]; `session_start_s`: uint32 [B], of the session that the target belongs to; `user`: int32 [B], a number for each user;
    `outcomes`: bool [B, 3], see `outcomes.outcomes`; `rating`: float32 [B], of that event, NaN where it has none.
    """

    features: Features
    target: npt.NDArray[np.int32]
    time_ms: npt.NDArray[np.int64]
    session_start_s: npt.NDArray[np.uint32]
    user: npt.NDArray[np.int32]
    kind: npt.NDArray[np.uint8]
    outcomes: npt.NDArray[np.bool_]
    rating: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.target)

    def where(self, mask: npt.NDArray[Any]) -> "Examples":
        """The examples of a boolean mask or an index."""
        return Examples(
            self.features.where(mask),
            self.target[mask],
            self.time_ms[mask],
            self.session_start_s[mask],
            self.user[mask],
            self.kind[mask],
            self.outcomes[mask],
            self.rating[mask],
        )

    def parts(self, size: int = 1024) -> Iterator["Examples"]:
        """The examples, `size` at a time, in their order."""
        for start in range(0, len(self), size):
            yield self.where(np.arange(start, min(start + size, len(self))))

    def last_items(self) -> npt.NDArray[np.int32]:
        """int32 [B]: the row of the newest known item before each question, 0 where there is none."""
        newest = np.maximum(self.features.length - 1, 0)
        last: npt.NDArray[np.int32] = self.features.items[np.arange(len(self)), newest]
        return last

    def with_own_outcomes(self) -> "Examples":
        """The same examples, with outcomes computed from these events alone."""
        return replace(self, outcomes=outcomes(self.user, self.session_start_s, self.target, self.kind))

    def bought_together(self) -> npt.NDArray[np.bool_]:
        """bool [B]: whether the previous example belongs to the same purchase. Needs all examples in their order."""
        both_bought = (self.kind[1:] == BOUGHT) & (self.kind[:-1] == BOUGHT)
        at_once = (self.user[1:] == self.user[:-1]) & (self.time_ms[1:] == self.time_ms[:-1])
        return np.concatenate((np.zeros(min(len(self), 1), dtype=bool), both_bought & at_once))

    def in_session(self, row: int | slice = slice(None)) -> npt.NDArray[np.bool_]:
        """bool [B, W] (or [W] of one row): the steps of the session in progress.

        At the first step of a session: the whole window, as a shop that knows the customer would use it.
        """
        f = self.features
        filled = np.arange(f.items.shape[1]) < f.length[row, None]
        own = filled & (f.seconds[row] >= self.session_start_s[row, None])
        if isinstance(row, int):
            return own if own.any() else filled
        return np.where(own.any(axis=1)[:, None], own, filled)


def read_events(
    file: Path, warn: Callable[[str], object] = log.warning, limits: EventSettings | None = None
) -> list[Event]:
    """The good events of a JSON lines file, sorted by time. `warn` gets a line about the events left out; `limits`
    defaults to the settings.

    Raises `EventsFileError` when most events are bad or the file does not hold JSON lines.
    """
    events = event_file(file, limits or load_settings().events)
    ordered = sorted(events, key=lambda event: int(event.event_time))
    events.refuse_mostly_bad()
    if events.bad:
        warn(events.left_out())
    return ordered


class Wishes:
    """The items that each event shows interest in. Takes events in time order; a purchase counts only items without an
    earlier cart event.

    A return or a rating below the middle shows no interest.
    """

    def __init__(self, rating_middle: float = RATING_MIDDLE) -> None:
        self._rating_middle = rating_middle
        self._carts: dict[str, set[str]] = {}

    def of(self, event: Event) -> list[str]:
        """The items of this event that a model should predict."""
        if event.event_type not in WISHES or is_return(event) or is_low_rating(event, self._rating_middle):
            return []
        named = items_named(event)
        if event.event_type == "add_to_cart":
            self._carts.setdefault(event.user_id, set()).update(named)
        elif event.event_type == "purchase" and event.items:
            cart = self._carts.get(event.user_id, set())
            in_cart = cart.intersection(named)
            cart -= in_cart
            return [item for item in named if item not in in_cart]
        return named


def vocabulary(events: Iterable[Event], min_count: int, rating_middle: float = RATING_MIDDLE) -> Vocabulary:
    """Items with at least `min_count` wishes, most frequent first (so the popular list is 1, 2, 3 …)."""
    counts: dict[str, int] = {}
    wishes = Wishes(rating_middle)
    for item in chain.from_iterable(map(wishes.of, events)):
        counts[item] = counts.get(item, 0) + 1
    frequent = [item for item, count in counts.items() if count >= min_count]
    return Vocabulary(sorted(frequent, key=lambda item: (-counts[item], item)))


def examples(
    events: Iterable[Event],
    words: Vocabulary,
    limits: EventSettings = DEFAULTS,
    window: int = WINDOW,
    hop: int = 1,
    sources: list[Event] | None = None,
) -> Examples:
    """One example for each wish of a known item, with the user's state before it. `sources` gets the event of each.

    The items of one purchase share a time. Each has the earlier items of the purchase in its history, so that a model
    learns which items are bought together. A test asks only for the first (`Examples.bought_together`), because the job
    makes no list between them. Raises `EventsFileError` when there is no wish.
    """
    features_of = partial(features, vocabulary=words, window=window, hop=hop)
    labelled = _examples(events, words, limits, features_of, Wishes(limits.rating_middle).of, sources)
    if labelled is None:
        raise EventsFileError("views, clicks, cart or purchase events of items", "none", "check event_type and item_id")
    return labelled


def ratings(
    events: Iterable[Event], words: Vocabulary, limits: EventSettings = DEFAULTS, window: int = WINDOW, hop: int = 1
) -> Examples | None:
    """One example for each rating of a known item, high or low, for the rating task. None when there are no ratings."""
    features_of = partial(features, vocabulary=words, window=window, hop=hop)
    return _examples(
        events, words, limits, features_of, lambda event: items_named(event) if event.rating is not None else []
    )


def states_before(
    events: Iterable[Event], words: Vocabulary, limits: EventSettings, items_of: Callable[[Event], list[str]]
) -> Iterator[tuple[Event, str, bytes, bytes]]:
    """(event, item, packed state before it, packed state after the event) of each item of `items_of` that `words` knows.

    `events` in time order. The state before an item of a purchase holds the earlier items of the purchase.
    """
    states: dict[str, bytes] = {}
    after = partial(step, session_gap_ms=limits.session_gap_ms, rating_middle=limits.rating_middle)
    for event in events:
        before = states.get(event.user_id)
        result = after(before, event)
        states[event.user_id] = result.state
        if result.outcome != "applied":
            continue
        for item in items_of(event):
            if not words.row(item):
                continue
            bought = (event.items or []) if event.event_type == "purchase" else []
            earlier = bought[: bought.index(item)] if item in bought else []
            state_before = after(before, replaced(event, items=earlier, item_id=None)).state if earlier else before
            yield event, item, state_before or EMPTY, result.state


def _examples(
    events: Iterable[Event],
    words: Vocabulary,
    limits: EventSettings,
    features_of: Callable[[npt.NDArray[Any]], Features],
    items_of: Callable[[Event], list[str]],
    sources: list[Event] | None = None,
) -> Examples | None:
    users: dict[str, int] = {}
    pending: list[bytes] = []
    parts: list[Features] = []
    target, times, user, starts, kind, rating = [], [], [], [], [], []
    for event, item, before, after in states_before(events, words, limits, items_of):
        pending.append(before)
        if sources is not None:
            sources.append(event)
        target.append(words.row(item))
        times.append(int(event.event_time))
        starts.append(session_start_s(after))
        user.append(users.setdefault(event.user_id, len(users)))
        kind.append(KINDS[event.event_type])
        rating.append(math.nan if event.rating is None else event.rating)
        if len(pending) == CHUNK:
            parts.append(features_of(read_states(pending)))
            pending.clear()
    if pending:
        parts.append(features_of(read_states(pending)))
    if not parts:
        return None
    user_number, target_row = np.array(user, dtype=np.int32), np.array(target, dtype=np.int32)
    started_s, kinds = np.array(starts, dtype=np.uint32), np.array(kind, dtype=np.uint8)
    labels = outcomes(user_number, started_s, target_row, kinds)
    times_ms, rated = np.array(times, dtype=np.int64), np.array(rating, dtype=np.float32)
    return Examples(Features.joined(parts), target_row, times_ms, started_s, user_number, kinds, labels, rated)
