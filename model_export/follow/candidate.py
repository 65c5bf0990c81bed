"""One round: from the champion and the history to a candidate's bundle.

A candidate's manifest has `trained_to`: topic -> partition -> the offset before which its weights have learned each event.
Weights and offsets are one immutable folder. So whatever is killed, promoted, refused or rolled back, the next round knows
what the champion has learned, and learns nothing twice.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from model_export.bundles.click_points import Calibration
from model_export.bundles.export import export_bundle, table_vectors
from model_export.data.dataset import Examples, examples
from model_export.data.learnable import learnable
from model_export.data.searches import Searches, searches_of
from model_export.data.splits import QUESTIONS, drawn_questions
from model_export.follow.assortment import RARE, assortment
from model_export.follow.history import History
from model_export.follow.learned import Learned, WindowSize, cut, questions_of
from model_export.follow.lesson.item_biases import follow_demand
from model_export.follow.lesson.position_bias import ClickWeights
from model_export.follow.lesson.refreshed_counts import fallbacks, follower_counts
from model_export.follow.lesson.rehearsal import Lesson, rehearse, replayed
from model_export.follow.lesson.warm_start import FOLLOWERS, WarmStart
from model_export.follow.offers import Offers
from model_export.models.encoders import NextItem
from model_export.models.search_task import SearchTask
from model_export.models.tasks import Task
from operators.configuration.shop_settings import EventSettings
from operators.errors import EventsFileError
from operators.model.bundle_files import weights_trained_s
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import EVENTS, Event
from operators.time_units import HOUR_MS

Rows = npt.NDArray[np.int64]
Kind = Literal["light", "weights"]
KEPT = ("name", "hop", "trained_on", "trained_to", "trained_at", "lineage", "settings")  # of the champion's manifest
LEAST_NEW = 20  # new examples of a round; with fewer it waits
LIGHT_SHARE = 0.2  # of the gate's least questions and users, for a round that trains no weights
CALIBRATED_BY = 200  # questions, 4000 cases; with fewer the champion's calibration stays
ANY_WINDOW = WindowSize(1, 1)
OLD_SHARE = 0.1  # of the examples that the champion has learned: for the gate, against forgetting
OLD_HALVES = 4  # the newest of them are drawn 2 ** 4 times as often as the oldest


@dataclass(frozen=True)
class GateWindows:
    """What the gate asks. `events`: all that may be learned from, by time; of these the candidate has learned none from
    `newest_ms` on. `old`: ids of events that the champion has learned, drawn at random. `clicks_ms`: the click head's
    probabilities are judged from here on. `least`: the smallest window. Epoch ms."""

    events: list[Event]
    newest_ms: int
    old: frozenset[str]
    clicks_ms: int
    least: WindowSize


@dataclass(frozen=True)
class Candidate:
    """`new` and `replayed`: examples that its weights learned in this round; `joined` and `left`: items."""

    folder: Path
    manifest: dict[str, Any]
    windows: GateWindows
    new: int
    replayed: int
    joined: int
    left: int


@dataclass(frozen=True)
class RoundOptions:
    """`replay_share`: of a lesson, from what was learned before. `half_life_hours`: after so long an event counts half for the
    demand of items, for followers, and as a candidate for the replay. `limits`: of events. `least`: of the gate's window."""

    limits: EventSettings
    replay_share: float = 0.5
    half_life_hours: float = 48.0
    seed: int = 7
    least: WindowSize = ANY_WINDOW

    def least_of(self, kind: Kind) -> WindowSize:
        """The smallest window of the gate for a round of this kind."""
        share = LIGHT_SHARE if kind == "light" else 1.0
        return WindowSize(*(math.ceil(share * number) for number in self.least))


class Round:
    """The events of a round as examples of the candidate's items; `new` and `old` are places in `questions`, and the
    gate's are `waiting`."""

    def __init__(
        self,
        champion: ModelBundle,
        history: History,
        offers: Offers,
        options: RoundOptions,
        now_ms: int,
        kind: Kind,
    ) -> None:
        """`now_ms`, epoch ms, decides which items are sold. Raises `EventsFileError` where no event may be learned from."""
        self._champion, self._offers, self._options, self._now_ms = champion, offers, options, now_ms
        self._kind, self._least = kind, options.least_of(kind)
        self._wanted = self._least.with_margin()
        stored = history.events()
        place_of = {id(one.event): place for place, one in enumerate(stored)}
        self.events, _ = learnable([one.event for one in stored])
        asked = questions_of(self.events, champion.vocabulary, options.limits.rating_middle)
        self._cut = cut(
            stored,
            Learned(champion.manifest),
            history.offsets.get(EVENTS, {}),
            {
                place_of[id(event)]: event.user_id
                for event, is_asked in zip(self.events, asked, strict=True)
                if is_asked
            },
            self._wanted,
            _counted_ms(champion) if kind == "light" else 0,
        )
        users = {event.user_id for event in self.events}
        self._shown = [one for one in history.shown() if one.user_id in users]
        before = [event for event in self.events if int(event.event_time) < self._cut.newest_ms]
        self.items = assortment(champion, before, offers, now_ms, options.limits)
        sources: list[Event] = []
        window, hop = champion.window, champion.hop
        self._all = examples(self.events, self.items.words, options.limits, window, hop, sources)
        is_before = self._all.time_ms < self._cut.newest_ms
        self.questions, self.waiting = self._all.where(is_before), self._all.where(~is_before)
        self._sources = [event for event, counts in zip(sources, is_before, strict=True) if counts]
        warm = self.questions.features.length > 0
        places = np.array([place_of[id(event)] for event in self._sources], dtype=np.int64)
        self.new = np.flatnonzero(warm & np.isin(places, [*self._cut.new]))
        self.old = np.flatnonzero(warm & np.isin(places, [*self._cut.learned]))

    @property
    def lacks(self) -> str:
        """Why the round must wait: too little to learn, or too few questions for the gate. "": it need not.

        A light round with items that join or leave needs nothing new, but a question with steps before it: without one there
        is nothing to count, and nothing to compare with what is served.
        """
        has_steps = bool((self.questions.features.length > 0).any())
        changes = self._kind == "light" and has_steps and bool(self.items.new or self.items.left)
        if not changes and len(self.new) < LEAST_NEW:
            return f"{len(self.new)} new examples are too few"
        if not self._cut.window.holds(self._wanted):
            (came, users), (questions, of_users) = self._cut.window, self._wanted
            return f"{came} questions of {users} users for the gate are too few, it needs {questions} of {of_users}"
        return ""

    def make(self, folder: Path) -> Candidate:
        """Exports a candidate to `folder`. Raises `BundleError` if the champion cannot be trained further."""
        start, kind = WarmStart.read(self._champion), self._kind
        model, facts = self._with_items(start), {name: self._champion.manifest[name] for name in self._kept()}
        facts["trained_at"] = round(1000 * weights_trained_s(self._champion.manifest))
        old = np.zeros(0, dtype=np.int64)
        if kind == "weights":
            old = self._learn(model, start)
            facts |= {"trained_on": self._trained_on(), "trained_to": self._trained_to(), "trained_at": self._now_ms}
        asked = np.union1d(self.new, self.old)
        follow_demand(model, self.questions.where(asked), (self._recency * self._click_weights)[asked])
        if not start.weights.silent:
            head = (start.followers[name].numpy() for name in FOLLOWERS)
            model.transitions.take_counts(follower_counts(self.items, self.questions, self._recency, *head))
        model.eval().freeze()
        vectors = table_vectors(model).astype(np.float32)
        counted = fallbacks(self._champion, self.items, self.questions, self._recency, vectors)
        new = len(self.new) if kind == "weights" else 0
        joined, left = len(self.items.new), len(self.items.left)
        facts |= {"made_from": self._champion.version, "metrics": {"test": {}}}
        of_round = {"kind": kind, "new": new, "replayed": len(old), "joined": joined, "left": left}
        facts |= {"round": of_round | {"counted_to_ms": self._cut.newest_ms}}
        parts = model, self.items.words, self.questions, self._golden(), folder, facts
        closed, clicks_ms = self._closed()
        calibration = Calibration(
            closed.where(closed.time_ms < clicks_ms), self._all, Calibration.points_of(self._champion)
        )
        manifest = export_bundle(*parts, fallbacks=counted, calibration=calibration)
        windows = GateWindows(self.events, self._cut.newest_ms, self._old_window(), clicks_ms, self._least)
        return Candidate(folder, manifest, windows, new, len(old), joined, left)

    def _golden(self) -> Examples:
        """Questions whose answers the bundle keeps, so that a scorer can check itself."""
        unseen = drawn_questions(self.waiting, QUESTIONS, self._options.seed)
        parts = unseen, self.questions.where(self.new), self.questions.where(self.old)
        if (golden := next((part for part in parts if len(part)), None)) is None:
            raise EventsFileError("a question about an item of the bundle", "none", "wait for more events")
        return golden

    def _closed(self) -> tuple[Examples, int]:
        """Questions of sessions that have ended, whose lists have a known outcome, and where the later half begins, epoch ms:
        the calibration is fitted on the earlier half, the gate judges the later one.

        They are unseen ones where there are enough, else the newest of all. Too few for halves are all for the gate.
        """
        ended_ms = int(self.events[-1].event_time) - self._options.limits.session_gap_ms
        for examples_of in (self.waiting, self._all):
            closed = drawn_questions(examples_of.where(examples_of.time_ms <= ended_ms), len(examples_of), 0)
            if len(closed) >= 2 * CALIBRATED_BY:
                newest = closed.where(np.arange(max(0, len(closed) - QUESTIONS), len(closed)))
                return newest, int(newest.time_ms[len(newest) // 2])
        return closed, int(closed.time_ms.min(initial=ended_ms))

    def _old_window(self) -> frozenset[str]:
        """Ids of a sample of the events that the champion has learned; recent ones are drawn more often: what shoppers wanted
        long ago may be gone for good."""
        count = min(len(self.old), max(math.ceil(OLD_SHARE * len(self.old)), self._least.questions), QUESTIONS)
        weights = 2.0 ** (OLD_HALVES * np.arange(len(self.old)) / max(len(self.old), 1))
        drawn = (
            np.random.default_rng(self._options.seed).choice(self.old, count, False, weights / weights.sum())
            if count
            else []
        )
        return frozenset(self._sources[place].event_id for place in drawn)

    def _kept(self) -> list[str]:
        return [name for name in KEPT if name in self._champion.manifest]

    def _with_items(self, start: WarmStart) -> NextItem:
        """The champion's model with the candidate's items."""
        rows, new = torch.from_numpy(self.items.rows), len(self.items.new)
        table, bias = start.table[rows], start.bias[rows]
        if new:
            table[-new:] = torch.from_numpy(self.items.vectors)
            bias[-new:] = start.bias[1:].quantile(RARE)
        return start.model(table, bias)

    def _learn(self, model: NextItem, start: WarmStart) -> Rows:
        """Trains the model on the new and some old examples, and returns the old ones."""
        generator = np.random.default_rng(self._options.seed)
        share = self._options.replay_share
        old = replayed(self.old, len(self.new), share, generator, self._recency[self.old])
        lesson = Lesson(self.questions, np.concatenate((self.new, old)), self._click_weights)
        rehearse(model, lesson, start.options.learning_rate, generator, self._tasks(start))
        return old

    @cached_property
    def _recency(self) -> npt.NDArray[np.float64]:
        """float64 [B]: the weight of each question, halved for each half-life before the newest one."""
        ages_ms = self.questions.time_ms.max(initial=0) - self.questions.time_ms
        return np.asarray(np.exp2(-ages_ms / (self._options.half_life_hours * HOUR_MS)))

    @cached_property
    def _click_weights(self) -> npt.NDArray[np.float32]:
        item_ids = self.items.words.item_ids
        wanted = [item_ids[row - 1] for row in self.questions.target.tolist()]
        return ClickWeights(self._shown).of(self._sources, wanted)

    def _tasks(self, start: WarmStart) -> list[Task]:
        """The search task, so that queries still find the items whose vectors move."""
        if start.queries is None or not start.options.search:
            return []
        words = self.items.words
        titles = [(title, row, 0) for item, title in self._offers.titles(self._now_ms) if (row := words.row(item))]
        searches = searches_of(self.events, words, self._options.limits.rating_middle)
        before = searches.where(searches.time_ms < self._cut.newest_ms)
        task = SearchTask(start.options.search, Searches.of(titles), before, Searches.of([]))
        return [task] if task.teaches else []

    def _trained_on(self) -> dict[str, Any]:
        earlier = self._champion.manifest.get("trained_on", {})
        first_ms, to_ms = int(self.questions.time_ms.min()), max(self._cut.newest_ms, earlier.get("to_ms", 0))
        return {"events": EVENTS, "from_ms": earlier.get("from_ms", first_ms), "to_ms": to_ms}

    def _trained_to(self) -> dict[str, dict[str, int]]:
        return {EVENTS: {str(partition): offset for partition, offset in sorted(self._cut.trained_to.items())}}


def _counted_ms(champion: ModelBundle) -> int:
    """Up to when the champion's counts know the events, epoch ms; 0 where its manifest does not say."""
    return int(champion.manifest.get("round", {}).get("counted_to_ms", 0))
