"""The questions of a window: shoppers' states just before what they did next. The same ones for both bundles."""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.data.dataset import Wishes, read_events, states_before
from model_export.data.learnable import learnable
from model_export.gate.report import Line, Window, judged
from model_export.measures.training_log import Log
from operators.configuration.shop_settings import EventSettings, GateLimits
from operators.errors import EventsFileError
from operators.records.contracts import Event
from operators.shopper.features import Rows, Vocabulary, features
from operators.shopper.state_layout import EMPTY, HISTORY, read_states

QUESTIONS = 10_000  # maximum, drawn with a fixed seed


@dataclass(frozen=True)
class Questions:
    """B questions, oldest first: `states`, records of dtype `STATE` [B]; `items`, the ids that came next; `user`, int64
    [B], a number for each user; `words`, the items that any of the bundles knows."""

    words: Vocabulary
    states: npt.NDArray[Any]
    items: list[str]
    user: npt.NDArray[np.int64]
    window: Window

    def __len__(self) -> int:
        return len(self.items)

    def targets(self, words: Vocabulary) -> Rows:
        """int32 [B]: the row of each item in a bundle's own vocabulary, 0 where it does not know the item."""
        return np.array([words.row(item) for item in self.items], dtype=np.int32)


def read_questions(
    file: Path,
    vocabularies: Sequence[Vocabulary],
    from_ms: int,
    limits: EventSettings,
    seed: int,
    log: Log,
    only: Collection[str] | None = None,
) -> Questions:
    """At most `QUESTIONS` questions from `from_ms` on, drawn by `seed`, of the wishes for items that any bundle knows. `only`:
    of the events with these ids; the others are history.

    Left out: shoppers without a known item in their history, and lines of a purchase after its first, for which the job
    makes no list. Robots and shoppers without consent too. Raises `EventsFileError` if no question remains.
    """
    events, counts = learnable(read_events(file, log, limits))
    log(f"{file.name}: " + ", ".join(f"{reason} {count}" for reason, count in counts.items()))
    words = Vocabulary([*dict.fromkeys(item for known in vocabularies for item in known.item_ids)])
    drawn = _drawn(events, words, from_ms, limits, seed, only)
    states = read_states([before for _, _, before in drawn])
    warm = np.flatnonzero(features(states, words, HISTORY).length > 0)
    if not len(warm):
        raise EventsFileError(
            f"shoppers in {file.name} who want another known item after {from_ms}",
            f"none among {len(events)} events from {int(events[0].event_time)} to {int(events[-1].event_time)}",
            "give newer events of the bundles' shop, with the history before them, or an earlier --test-from",
        )
    asked = [drawn[place] for place in warm]
    numbers: dict[str, int] = {}
    user = np.array([numbers.setdefault(event.user_id, len(numbers)) for event, _, _ in asked], dtype=np.int64)
    window = Window(file.name, from_ms, int(asked[-1][0].event_time), len(asked), len(numbers))
    return Questions(words, states[warm], [item for _, item, _ in asked], user, window)


def window_line(window: Window, limits: GateLimits) -> Line:
    """Whether the window has enough questions and users to judge by."""
    return judged(
        "window",
        window.questions >= limits.min_questions and window.users >= limits.min_users,
        f"{limits.min_questions} questions of {limits.min_users} users in {window.file} from {window.from_ms} on",
        f"{window.questions} of {window.users}",
        "give a longer window of events",
        value=window.questions,
        limit=limits.min_questions,
    )


def _drawn(
    events: list[Event], words: Vocabulary, from_ms: int, limits: EventSettings, seed: int, only: Collection[str] | None
) -> list[tuple[Event, str, bytes]]:
    """(event, item, state before it), in their order: a sample of all by Vitter's algorithm R (1985), so memory is bounded."""
    kept: list[tuple[int, tuple[Event, str, bytes]]] = []
    chance, count, previous = random.Random(seed), 0, ("", 0, "")
    for event, item, before, _ in states_before(events, words, limits, Wishes(limits.rating_middle).of):
        moment = (event.user_id, int(event.event_time), event.event_type)
        bought_together = event.event_type == "purchase" and moment == previous
        previous = moment
        if bought_together or moment[1] < from_ms or before == EMPTY or not (only is None or event.event_id in only):
            continue
        question = count, (event, item, before)
        count += 1
        if len(kept) < QUESTIONS:
            kept.append(question)
        elif (place := chance.randrange(count)) < QUESTIONS:
            kept[place] = question
    return [question for _, question in sorted(kept, key=lambda numbered: numbered[0])]
