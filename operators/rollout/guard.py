"""Finds the bundle of a rollout that harms: by its lists, and by what shoppers do with them. Pure."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from statistics import median
from typing import NamedTuple

import numpy as np

from operators.configuration.model_settings import GuardSettings
from operators.experiments.statistics.confidence_sequence import difference_sequence
from operators.experiments.statistics.moments import Moments
from operators.rollout.rollout import BundleRef, Change, Rollout, rolled_back, split
from operators.time_units import MINUTE_MS

KEPT_LISTS = 1000  # of each bundle, the newest
KEPT_USERS = 20_000  # of each bundle, for click-through
SILENT_MS = MINUTE_MS  # a bundle without a list for so long is not judged by its lists
SLOW_MS = MINUTE_MS / 2  # so long a bundle is slow before that counts: a restart makes all lists late for some seconds
LIFT, ALPHA = 0.1, 0.05  # of the interval of click-through: docs/experiments.md


class ListFact(NamedTuple):
    """A list that went out. `at_ms`, `event_ms`: epoch ms, of the list's record and of the event that caused it."""

    at_ms: int
    event_ms: int
    is_fallback: bool
    is_empty: bool


class Finding(NamedTuple):
    """The bundle that harms, and why."""

    bundle: BundleRef
    why: str

    def remedy(self, rollout: Rollout | None, change: Change) -> Rollout | None:
        """The rollout without the bundle: the champion before for a champion, an ended split for a challenger. As it is where
        the bundle serves no more. A verb of `operators.rollout.rollout`."""
        if rollout is None or all(self.bundle.sum != bundle.sum for bundle in rollout.serving):
            return rollout
        if self.bundle.sum == rollout.champion.sum:
            return rolled_back(rollout, change)
        return split(rollout, self.bundle, 0, change)


@dataclass
class _Health:
    lists: deque[ListFact] = field(default_factory=lambda: deque(maxlen=KEPT_LISTS))
    slow_since_ms: int | None = None
    shown: dict[str, list[int]] = field(default_factory=dict)  # user -> shown items, clicked or better

    def share(self, of: Callable[[ListFact], bool]) -> float:
        return sum(map(of, self.lists)) / len(self.lists)

    @property
    def delay_ms(self) -> float:
        return median(fact.at_ms - fact.event_ms for fact in self.lists)

    @property
    def clicks(self) -> Moments:
        counts = np.array([*self.shown.values()], dtype=np.float64).reshape(-1, 2)
        return Moments.of(counts[:, 0], counts[:, 1])


class Guard:
    """Judges the challengers of a rollout, and its champion while it is new. Labels are those of `BundleRef.label`."""

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self._health: dict[str, _Health] = {}

    def begin(self, rollout: Rollout | None) -> None:
        """A rollout that changed: forgets the bundles that are not in it, but for the one with the most lists, which served
        before, and what shoppers did: clicks of another time or other shares are not to be compared."""
        named = {bundle.label for bundle in _named(rollout)}
        former = max((label for label in self._health if label not in named), key=self._lists_of, default=None)
        self._health = {label: health for label, health in self._health.items() if label in named or label == former}
        for health in self._health.values():
            health.shown.clear()

    def on_list(self, label: str, fact: ListFact) -> None:
        """A list went out."""
        self._of(label).lists.append(fact)

    def on_example(self, label: str, user: str, *, is_first: bool, is_positive: bool) -> None:
        """An item was shown (`is_first`), and it was clicked or better (`is_positive`): each said once."""
        shown = self._of(label).shown
        if (counts := shown.get(user)) is None:
            if len(shown) >= KEPT_USERS:
                del shown[next(iter(shown))]
            counts = shown[user] = [0, 0]
        counts[0] += is_first
        counts[1] += is_positive

    def finding(self, rollout: Rollout | None, now_ms: int) -> Finding | None:
        """What harms now; None: nothing that is known."""
        for bundle in _judged(rollout, now_ms, self._settings.watch_minutes * MINUTE_MS):
            assert rollout is not None
            reference = self._reference(bundle, rollout)
            why = self._by_lists(bundle.label, reference, now_ms)
            if not why and bundle.sum != rollout.champion.sum:
                why = self._by_clicks(bundle.label, rollout.champion.label)
            if why:
                return Finding(bundle, why)
        return None

    def _by_lists(self, label: str, reference: str | None, now_ms: int) -> str:
        health, usual = self._health.get(label), self._health.get(reference or "")
        if health is None or len(health.lists) < self._settings.min_lists:
            return ""
        if now_ms - health.lists[-1].at_ms > SILENT_MS:
            return ""
        compared = usual if usual is not None and len(usual.lists) >= self._settings.min_lists else None
        beside = "" if compared is None else f" of {reference}"
        for of, name, most in (
            (attrgetter("is_empty"), "empty lists", self._settings.empty_share),
            (attrgetter("is_fallback"), "fallback lists", self._settings.fallback_share),
        ):
            share, other = health.share(of), 0.0 if compared is None else compared.share(of)
            if share > other + most:
                return f"{name}: {share:.0%} of {len(health.lists)}, beside {other:.0%}{beside}"
        return self._by_delay(health, compared, beside, now_ms)

    def _by_delay(self, health: _Health, compared: _Health | None, beside: str, now_ms: int) -> str:
        if compared is None:
            return ""
        delay, usual = health.delay_ms, compared.delay_ms
        if delay <= usual * self._settings.slower or delay <= usual + self._settings.slower_ms:
            health.slow_since_ms = None
            return ""
        if health.slow_since_ms is None:
            health.slow_since_ms = now_ms
        if now_ms - health.slow_since_ms < SLOW_MS:
            return ""
        return f"slow: a list comes {delay:.0f} ms after its event (median), beside {usual:.0f} ms{beside}"

    def _by_clicks(self, label: str, champion: str) -> str:
        if label not in self._health or champion not in self._health:
            return ""
        control, treatment = self._health[champion].clicks, self._health[label].clicks
        difference = difference_sequence(control, treatment, LIFT, ALPHA)
        if not difference.high < 0:
            return ""
        rates = f"{float(treatment.rate):.2%} of shown items clicked, beside {float(control.rate):.2%} of {champion}"
        return f"{rates}: the difference is below 0 (always-valid interval to {float(difference.high):.2%})"

    def _reference(self, bundle: BundleRef, rollout: Rollout) -> str | None:
        """With what a bundle is compared: a challenger with the champion, the champion with what served before it."""
        if bundle.sum != rollout.champion.sum:
            return rollout.champion.label
        if rollout.previous is not None and self._lists_of(rollout.previous.label):
            return rollout.previous.label
        serving = {one.label for one in rollout.serving}
        return max((label for label in self._health if label not in serving), key=self._lists_of, default=None)

    def _lists_of(self, label: str) -> int:
        health = self._health.get(label)
        return 0 if health is None else len(health.lists)

    def _of(self, label: str) -> _Health:
        return self._health.setdefault(label, _Health())


def is_watched(rollout: Rollout | None, now_ms: int, watch_minutes: float) -> bool:
    """Whether there is anything to judge."""
    return next(_judged(rollout, now_ms, watch_minutes * MINUTE_MS), None) is not None


def _judged(rollout: Rollout | None, now_ms: int, watch_ms: float) -> Iterator[BundleRef]:
    """Challengers, and the champion for so long after the last change."""
    if rollout is not None:
        yield from (challenger.bundle for challenger in rollout.challengers)
        if now_ms - rollout.changed_at < watch_ms:
            yield rollout.champion


def _named(rollout: Rollout | None) -> list[BundleRef]:
    if rollout is None:
        return []
    return [bundle for bundle in (*rollout.serving, rollout.shadow, rollout.previous) if bundle is not None]
