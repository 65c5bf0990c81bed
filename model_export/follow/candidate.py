"""One round: from the champion and the history to a candidate's bundle.

A candidate's manifest has `trained_to`: topic -> partition -> the offset before which its weights have learned each event.
Weights and offsets are one immutable folder. So whatever is killed, promoted, refused or rolled back, the next round knows
what the champion has learned, and learns nothing twice.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from model_export.bundles.export import export_bundle, table_vectors
from model_export.data.dataset import examples
from model_export.data.learnable import learnable
from model_export.data.searches import Searches, searches_of
from model_export.data.splits import QUESTIONS, drawn_questions
from model_export.follow.assortment import RARE, assortment
from model_export.follow.history import History
from model_export.follow.learned import Learned, cut
from model_export.follow.offers import Offers
from model_export.follow.position_bias import ClickWeights
from model_export.follow.refreshed_counts import fallbacks, follower_counts
from model_export.follow.rehearsal import Lesson, rehearse, replayed
from model_export.follow.warm_start import FOLLOWERS, WarmStart
from model_export.models.encoders import NextItem
from model_export.models.search_task import SearchTask
from model_export.models.tasks import Task
from operators.configuration.shop_settings import EventSettings
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import EVENTS, Event

Rows = npt.NDArray[np.int64]
Kind = Literal["light", "weights"]
KEPT = ("name", "hop", "trained_on", "trained_to", "trained_at", "lineage", "settings")  # of the champion's manifest
LEAST_NEW = 20  # new examples of a round; with fewer it waits


@dataclass(frozen=True)
class GateWindows:
    """What the gate asks. `events`: all that may be learned from, by time; of these the candidate has learned none from
    `newest_ms` on. `old_ms`: from and to, a window that the champion has learned. Epoch ms."""

    events: list[Event]
    newest_ms: int
    old_ms: tuple[int, int]


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
    """`replay_share`: of a lesson, from what was learned before. `limits`: of events."""

    limits: EventSettings
    replay_share: float = 0.5
    seed: int = 7


class Round:
    """The events of a round as examples of the candidate's items; `new` and `old` are places in `questions`, and the
    gate's are `waiting`."""

    def __init__(
        self, champion: ModelBundle, history: History, offers: Offers, options: RoundOptions, now_ms: int
    ) -> None:
        """`now_ms`, epoch ms, decides which items are sold. Raises `EventsFileError` where no event may be learned from."""
        self._champion, self._offers, self._options, self._now_ms = champion, offers, options, now_ms
        stored = history.events()
        self._cut = cut(stored, Learned(champion.manifest), history.offsets.get(EVENTS, {}))
        place_of = {id(one.event): place for place, one in enumerate(stored)}
        self.events, _ = learnable([one.event for one in stored])
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
        asked = self.questions.features.length > 0
        places = np.array([place_of[id(event)] for event in self._sources], dtype=np.int64)
        self.new = np.flatnonzero(asked & np.isin(places, [*self._cut.new]))
        self.old = np.flatnonzero(asked & np.isin(places, [*self._cut.learned]))

    def is_worth(self, kind: Kind) -> bool:
        """Whether there is enough to learn, or for a light round an item that joins or leaves, and a question with steps
        before it: without one there is nothing to count, and nothing to compare with what is served."""
        has_steps = bool((self.questions.features.length > 0).any())
        changes = kind == "light" and has_steps and bool(self.items.new or self.items.left)
        return changes or len(self.new) >= LEAST_NEW

    def make(self, kind: Kind, folder: Path) -> Candidate:
        """Exports a candidate to `folder`. Raises `BundleError` if the champion cannot be trained further."""
        start = WarmStart.read(self._champion)
        model, facts = self._with_items(start), {name: self._champion.manifest[name] for name in self._kept()}
        old = np.zeros(0, dtype=np.int64)
        if kind == "weights":
            old = self._learn(model, start)
            facts |= {"trained_on": self._trained_on(), "trained_to": self._trained_to(), "trained_at": self._now_ms}
        if not start.weights.silent:
            head = (start.followers[name].numpy() for name in FOLLOWERS)
            model.transitions.take_counts(follower_counts(self.items, self.questions, *head))
        model.eval().freeze()
        counted = fallbacks(self._champion, self.items, self.questions, table_vectors(model).astype(np.float32))
        new = len(self.new) if kind == "weights" else 0
        joined, left = len(self.items.new), len(self.items.left)
        facts |= {"made_from": self._champion.version, "metrics": {"test": {}}}
        facts |= {"round": {"kind": kind, "new": new, "replayed": len(old), "joined": joined, "left": left}}
        unseen = drawn_questions(self.waiting, QUESTIONS, self._options.seed)
        newest = unseen if len(unseen) else self.questions.where(self.new)
        parts = model, self.items.words, self.questions, newest, folder, facts
        manifest = export_bundle(*parts, fallbacks=counted, later=self._all)
        windows = GateWindows(self.events, self._cut.newest_ms, self._cut.old_ms)
        return Candidate(folder, manifest, windows, new, len(old), joined, left)

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
        old = replayed(self.old, len(self.new), self._options.replay_share, generator)
        item_ids = self.items.words.item_ids
        wanted = [item_ids[row - 1] for row in self.questions.target.tolist()]
        weights = ClickWeights(self._shown).of(self._sources, wanted)
        lesson = Lesson(self.questions, np.concatenate((self.new, old)), weights)
        rehearse(model, lesson, start.options.learning_rate, generator, self._tasks(start))
        return old

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
