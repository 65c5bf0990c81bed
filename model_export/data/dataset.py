"""Canonical events -> training and test examples, through the same `step` and `features` as the job."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from model_export.data.outcomes import outcomes
from operators.contracts import Event
from operators.errors import EventsFileError
from operators.features import WINDOW, Features, Vocabulary, features
from operators.record_file import event_file
from operators.settings import load_settings
from operators.state_layout import EMPTY, read_states
from operators.user_state import KINDS, session_start_s, step

log = logging.getLogger(__name__)
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


def transition_counts(train: Examples, items: int) -> sparse.csr_matrix:
    """float32 [N + 1, N + 1]: how often each item came after each one; row 0 is what came after nothing."""
    places = (train.last_items(), train.target)
    return sparse.csr_matrix((np.ones(len(train), np.float32), places), shape=(items + 1, items + 1))


def read_events(file: Path, tell: Callable[[str], object] = log.warning) -> list[Event]:
    """The good events of a file of JSON lines in the order of time; `tell` hears of those that are left out.

    Raises `EventsFileError` where most are bad, or the file is none of JSON lines.
    """
    events = event_file(file, load_settings().events)
    found = sorted(events, key=lambda event: int(event.event_time))
    events.refuse_mostly_bad()
    if events.bad:
        tell(events.left_out())
    return found


def positives(event: Event) -> list[str]:
    """The items that count as "what came next"."""
    if event.event_type in ("view", "click", "add_to_cart", "rate") and event.item_id is not None:
        return [event.item_id]
    if event.event_type == "purchase" and event.item_id is not None:
        return [event.item_id]
    return []


def vocabulary(events: Iterable[Event], min_count: int) -> Vocabulary:
    """Items with at least `min_count` positive events, most frequent first (so the popular list is 1, 2, 3 …)."""
    counts: dict[str, int] = {}
    for event in events:
        for item in positives(event):
            counts[item] = counts.get(item, 0) + 1
    kept = [item for item, count in counts.items() if count >= min_count]
    return Vocabulary(sorted(kept, key=lambda item: (-counts[item], item)))


def examples(events: Iterable[Event], words: Vocabulary, session_gap_ms: int, window: int = WINDOW) -> Examples:
    """One example for each positive event of a known item, asked with the user's state before the event."""
    states: dict[str, bytes] = {}
    users: dict[str, int] = {}
    waiting: list[bytes] = []
    parts: list[Features] = []
    target, times, user, starts, kind, rating = [], [], [], [], [], []

    def flush() -> None:
        if waiting:
            parts.append(features(read_states(waiting), words, window))
            waiting.clear()

    for event in events:
        before = states.get(event.user_id)
        done = step(before, event, session_gap_ms)
        states[event.user_id] = done.state
        if done.outcome != "applied":
            continue
        for row in filter(None, map(words.row, positives(event))):
            waiting.append(before or EMPTY)
            target.append(row)
            times.append(int(event.event_time))
            starts.append(session_start_s(done.state))
            user.append(users.setdefault(event.user_id, len(users)))
            kind.append(KINDS[event.event_type])
            rating.append(math.nan if event.rating is None else event.rating)
            if len(waiting) == CHUNK:
                flush()
    flush()
    if not parts:
        raise EventsFileError("views, clicks, cart or purchase events of items", "none", "check event_type and item_id")
    who, what = np.array(user, dtype=np.int32), np.array(target, dtype=np.int32)
    began, how = np.array(starts, dtype=np.uint32), np.array(kind, dtype=np.uint8)
    became = outcomes(who, began, what, how)
    when, rated = np.array(times, dtype=np.int64), np.array(rating, dtype=np.float32)
    return Examples(Features.joined(parts), what, when, began, who, how, became, rated)
