"""Finds the bundle of a rollout that harms: by its lists, and by what shoppers do with them. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from operators.configuration.model_settings import GuardSettings
from operators.experiments.statistics.confidence_sequence import difference_sequence
from operators.rollout.click_counts import ClickCounts
from operators.rollout.recent_lists import KEPT_MS, ListCounts, ListFact, RecentLists
from operators.rollout.rollout import BundleRef, Change, Rollout, rolled_back, split
from operators.time_units import MINUTE_MS

ENOUGH_LISTS = 1000  # of a bundle: more and older ones are not compared
MOST_BUNDLES = 16  # whoever may write to the topic may name any
SILENT_MS = MINUTE_MS  # a bundle without a list for so long is not judged by its lists
SLOW_MS = MINUTE_MS / 2  # so long a bundle is slow before that counts: a restart makes all lists late for some seconds
LIFT, ALPHA = 0.1, 0.05  # of the interval of click-through: docs/experiments.md


class Finding(NamedTuple):
    """The bundle that harms, and why."""

    bundle: BundleRef
    why: str

    def remedy(self, rollout: Rollout | None, change: Change) -> Rollout | None:
        """The rollout without the bundle: the champion before for a champion, an ended split for a challenger. As it is where
        the bundle serves no more, and where the champion before is one that was taken back itself. A verb of
        `operators.rollout.rollout`."""
        if rollout is None or all(self.bundle.sum != bundle.sum for bundle in rollout.serving):
            return rollout
        if self.bundle.sum != rollout.champion.sum:
            return split(rollout, self.bundle, 0, change)
        if rollout.previous_harmed:
            return rollout
        back = rolled_back(rollout, change)
        return None if back is None else msgspec.structs.replace(back, previous_harmed=True)


class _Comparison(NamedTuple):
    """Lists of a bundle beside lists of `reference`."""

    lists: ListCounts
    usual: ListCounts
    reference: str


class Guard:
    """Judges the challengers of a rollout, and its champion while it is new. Labels are those of `BundleRef.label`.

    `clicks_from_ms`: of lists that were shown before (epoch ms), clicks are not to be compared.
    """

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self._rollout: Rollout | None = None
        self._lists: dict[str, RecentLists] = {}
        self._slow_since_ms: dict[str, int] = {}
        self._clicks = ClickCounts()
        self.clicks_from_ms = 0

    def begin(self, rollout: Rollout | None, now_ms: int) -> None:
        """A rollout that changed. Forgets the lists of bundles that are not in it, but for the bundle with the most, which served
        before. Where other bundles serve or shares differ it forgets clicks too: those of another time are not to be compared."""
        named = {bundle.label for bundle in _named(rollout)}
        lists_of = {label: lists.count(0, now_ms) for label, lists in self._lists.items()}
        former = max((label for label in self._lists if label not in named), key=lists_of.__getitem__, default=None)
        self._lists = {label: lists for label, lists in self._lists.items() if label in named or label == former}
        self._slow_since_ms.clear()
        if _shares(rollout) != _shares(self._rollout):
            self._clicks = ClickCounts(() if rollout is None else (bundle.label for bundle in rollout.serving))
            self.clicks_from_ms = 0 if rollout is None else min(rollout.changed_at, now_ms)
        self._rollout = rollout

    def on_list(self, label: str, fact: ListFact) -> None:
        """A list went out."""
        if label not in self._lists and len(self._lists) >= MOST_BUNDLES:
            return
        self._lists.setdefault(label, RecentLists()).add(fact)

    def on_shown(self, label: str, user: str, *, is_clicked: bool) -> None:
        """An item was shown, and its click window is closed: each item once. What comes later counts for no bundle."""
        self._clicks.add(label, user, is_clicked=is_clicked)

    def finding(self, rollout: Rollout | None, now_ms: int) -> Finding | None:
        """What harms now; None: nothing that is known."""
        self._forget_old(rollout, now_ms)
        for bundle in _judged(rollout, now_ms, self._settings.watch_minutes * MINUTE_MS):
            assert rollout is not None
            why = self._by_lists(bundle, rollout, now_ms)
            if not why and bundle.sum != rollout.champion.sum:
                why = self._by_clicks(bundle.label, rollout.champion.label)
            if why:
                return Finding(bundle, why)
        return None

    def _forget_old(self, rollout: Rollout | None, now_ms: int) -> None:
        spans = [(now_ms - KEPT_MS, now_ms)]
        if rollout is not None:
            spans.append(_before(rollout))
        for lists in self._lists.values():
            lists.keep(spans)

    def _by_lists(self, bundle: BundleRef, rollout: Rollout, now_ms: int) -> str:
        compared = self._compared(bundle, rollout, now_ms)
        if compared is None:
            return ""
        lists, usual, reference = compared
        for name, count, other_count, most in (
            ("empty lists", lists.empty, usual.empty, self._settings.empty_share),
            ("fallback lists", lists.fallbacks, usual.fallbacks, self._settings.fallback_share),
        ):
            share, other = count / lists.lists, other_count / usual.lists
            if share > other + most:
                return f"{name}: {share:.0%} of {lists.lists}, beside {other:.0%} of {reference}"
        return self._by_delay(bundle.label, compared, now_ms)

    def _compared(self, bundle: BundleRef, rollout: Rollout, now_ms: int) -> _Comparison | None:
        """A challenger beside the champion of the same time, the champion beside what served before it; None without enough
        lists of both: a cause from outside would be taken for the bundle."""
        own = self._lists.get(bundle.label)
        if own is None or now_ms - own.last_ms > SILENT_MS:
            return None
        if bundle.sum == rollout.champion.sum:
            reference = self._before_champion(rollout)
            lists, _ = own.newest(max(rollout.known_since, now_ms - KEPT_MS), now_ms, ENOUGH_LISTS)
            usual, _ = self._lists.get(reference, RecentLists()).newest(*_before(rollout), ENOUGH_LISTS)
        else:
            reference = rollout.champion.label
            beside = self._lists.get(reference, RecentLists())
            lists, usual = own.newest(now_ms - KEPT_MS, now_ms, ENOUGH_LISTS, beside)
        if min(lists.lists, usual.lists) < self._settings.min_lists:
            return None
        return _Comparison(lists, usual, reference)

    def _before_champion(self, rollout: Rollout) -> str:
        """The bundle that the champion is compared with; "" where none is known."""
        span, serving = _before(rollout), {bundle.label for bundle in rollout.serving}
        counts = {label: lists.count(*span) for label, lists in self._lists.items() if label not in serving}
        previous = "" if rollout.previous is None else rollout.previous.label
        if counts.get(previous, 0) >= self._settings.min_lists:
            return previous
        return max(counts, key=counts.__getitem__, default="")

    def _by_delay(self, label: str, compared: _Comparison, now_ms: int) -> str:
        delay, usual = compared.lists.delay_ms, compared.usual.delay_ms
        if delay <= usual * self._settings.slower or delay <= usual + self._settings.slower_ms:
            self._slow_since_ms.pop(label, None)
            return ""
        if now_ms - self._slow_since_ms.setdefault(label, now_ms) < SLOW_MS:
            return ""
        beside = f"beside {usual:.0f} ms of {compared.reference}"
        return f"slow: a list comes {delay:.0f} ms after its event (median), {beside}"

    def _by_clicks(self, label: str, champion: str) -> str:
        control, treatment = self._clicks.moments(champion), self._clicks.moments(label)
        if control is None or treatment is None:
            return ""
        difference = difference_sequence(control, treatment, LIFT, ALPHA)
        if not difference.high < 0:
            return ""
        rates = f"{float(treatment.rate):.2%} of shown items clicked, beside {float(control.rate):.2%} of {champion}"
        return f"{rates}: the difference is below 0 (always-valid interval to {float(difference.high):.2%})"


def is_watched(rollout: Rollout | None, now_ms: int, watch_minutes: float) -> bool:
    """Whether there is anything to judge."""
    return next(_judged(rollout, now_ms, watch_minutes * MINUTE_MS), None) is not None


def _judged(rollout: Rollout | None, now_ms: int, watch_ms: float) -> Iterator[BundleRef]:
    """Challengers, and the champion for so long after it became that, unless the guard itself brought it back."""
    if rollout is not None:
        yield from (challenger.bundle for challenger in rollout.challengers)
        if now_ms - rollout.known_since < watch_ms and not rollout.previous_harmed:
            yield rollout.champion


def _before(rollout: Rollout) -> tuple[int, int]:
    """The time before the champion (epoch ms) from which lists are compared with its own."""
    return rollout.known_since - KEPT_MS, rollout.known_since


def _shares(rollout: Rollout | None) -> object:
    """Who serves how many: clicks are comparable while it stays."""
    if rollout is None:
        return None
    return rollout.champion.sum, tuple((one.bundle.sum, one.share) for one in rollout.challengers)


def _named(rollout: Rollout | None) -> list[BundleRef]:
    if rollout is None:
        return []
    return [bundle for bundle in (*rollout.serving, rollout.shadow, rollout.previous) if bundle is not None]
