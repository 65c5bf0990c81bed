"""Canonical events -> training and test examples, through the same `step` and `features` as the job."""

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
    """Questions asked just before a positive event: what comes next?

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
        for begin in range(0, len(self), size):
            yield self.where(np.arange(begin, min(begin + size, len(self))))

    def last_items(self) -> npt.NDArray[np.int32]:
        """int32 [B]: the row of the newest known item before each question, 0 where there is none."""
        newest = np.maximum(self.features.length - 1, 0)
        last: npt.NDArray[np.int32] = self.features.items[np.arange(len(self)), newest]
        return last

    def alone(self) -> "Examples":
        """The same, with outcomes that know only these events."""
        return replace(self, outcomes=outcomes(self.user, self.session_start_s, self.target, self.kind))

    def bought_together(self) -> npt.NDArray[np.bool_]:
        """bool [B]: whether the example before is of the same purchase. All examples, in their order."""
        both = (self.kind[1:] == BOUGHT) & (self.kind[:-1] == BOUGHT)
        at_once = (self.user[1:] == self.user[:-1]) & (self.time_ms[1:] == self.time_ms[:-1])
        return np.concatenate(([False] * min(len(self), 1), both & at_once))

    def in_session(self, row: int | slice = slice(None)) -> npt.NDArray[np.bool_]:
        """bool [B, W] (or [W] of one row): the steps of the session in progress.

        At the first step of a session: the whole window, as a shop that knows the customer would use it.
        """
        f = self.features
        known = np.arange(f.items.shape[1]) < f.length[row, None]
        own = known & (f.seconds[row] >= self.session_start_s[row, None])
        if isinstance(row, int):
            return own if own.any() else known
        return np.where(own.any(axis=1)[:, None], own, known)


def read_events(
    file: Path, tell: Callable[[str], object] = log.warning, limits: EventSettings | None = None
) -> list[Event]:
    """The good events of a file of JSON lines in the order of time; `tell` hears of those that are left out. `limits`:
    default the settings'.

    Raises `EventsFileError` where most are bad, or the file is none of JSON lines.
    """
    events = event_file(file, limits or load_settings().events)
    found = sorted(events, key=lambda event: int(event.event_time))
    events.refuse_mostly_bad()
    if events.bad:
        tell(events.left_out())
    return found


class Wishes:
    """What shoppers wanted, event by event in the order of time: of a basket the lines that no cart event has named yet.

    Neither a return nor a rating below the middle is a wish.
    """

    def __init__(self, rating_middle: float = RATING_MIDDLE) -> None:
        self._rating_middle = rating_middle
        self._carts: dict[str, set[str]] = {}

    def of(self, event: Event) -> list[str]:
        """The items that count as "what came next"."""
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
    """Items wanted at least `min_count` times, most frequent first (so the popular list is 1, 2, 3 …)."""
    counts: dict[str, int] = {}
    wishes = Wishes(rating_middle)
    for item in chain.from_iterable(map(wishes.of, events)):
        counts[item] = counts.get(item, 0) + 1
    kept = [item for item, count in counts.items() if count >= min_count]
    return Vocabulary(sorted(kept, key=lambda item: (-counts[item], item)))


def examples(
    events: Iterable[Event], words: Vocabulary, limits: EventSettings = DEFAULTS, window: int = WINDOW
) -> Examples:
    """One example for each wish of a known item, asked with the user's state before it.

    The lines of a basket were bought at once. Each has the lines before it in its history, so that a model learns what is
    bought together; a test asks for the first alone (`Examples.bought_together`), for no list is made between them.
    Raises `EventsFileError` where nothing was wanted.
    """
    found = _examples(events, words, limits, window, Wishes(limits.rating_middle).of)
    if found is None:
        raise EventsFileError("views, clicks, cart or purchase events of items", "none", "check event_type and item_id")
    return found


def ratings(
    events: Iterable[Event], words: Vocabulary, limits: EventSettings = DEFAULTS, window: int = WINDOW
) -> Examples | None:
    """One example for each rating of a known item, high or low: none of them says what came next. None: there is none."""
    return _examples(
        events, words, limits, window, lambda event: items_named(event) if event.rating is not None else []
    )


def _examples(
    events: Iterable[Event],
    words: Vocabulary,
    limits: EventSettings,
    window: int,
    asked: Callable[[Event], list[str]],
) -> Examples | None:
    states: dict[str, bytes] = {}
    users: dict[str, int] = {}
    waiting: list[bytes] = []
    parts: list[Features] = []
    target, times, user, starts, kind, rating = [], [], [], [], [], []
    after = partial(step, session_gap_ms=limits.session_gap_ms, rating_middle=limits.rating_middle)
    for event in events:
        before = states.get(event.user_id)
        done = after(before, event)
        states[event.user_id] = done.state
        if done.outcome != "applied":
            continue
        for item in asked(event):
            if not (row := words.row(item)):
                continue
            bought = (event.items or []) if event.event_type == "purchase" else []
            earlier = bought[: bought.index(item)] if item in bought else []
            partly = after(before, replaced(event, items=earlier, item_id=None)).state if earlier else before
            waiting.append(partly or EMPTY)
            target.append(row)
            times.append(int(event.event_time))
            starts.append(session_start_s(done.state))
            user.append(users.setdefault(event.user_id, len(users)))
            kind.append(KINDS[event.event_type])
            rating.append(math.nan if event.rating is None else event.rating)
            if len(waiting) == CHUNK:
                parts.append(features(read_states(waiting), words, window))
                waiting.clear()
    if waiting:
        parts.append(features(read_states(waiting), words, window))
    if not parts:
        return None
    who, what = np.array(user, dtype=np.int32), np.array(target, dtype=np.int32)
    began, how = np.array(starts, dtype=np.uint32), np.array(kind, dtype=np.uint8)
    became = outcomes(who, began, what, how)
    when, rated = np.array(times, dtype=np.int64), np.array(rating, dtype=np.float32)
    return Examples(Features.joined(parts), what, when, began, who, how, became, rated)
