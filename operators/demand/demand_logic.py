"""The demand operator's reaction to a batch of entries and timers, without Flink."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from operators.demand.item_counts import Asked, HalfLives, ItemCounts
from operators.demand.popularity import usual_share
from operators.records.item_demand import HourDemand, ItemDemand
from operators.telemetry.own_errors import OwnErrors
from operators.time_units import HOUR_MS

RETRY_MS = 60_000  # after an error of our own at a timer
SHOWN_EVERY = 12  # a record that tells of impressions alone comes so much less often: each list shows twenty items
AHEAD_MS = 60_000  # an event counts at most so far ahead of this machine: a broker's clock may lie
DIGITS = 4
_encode = msgspec.json.Encoder().encode


class DemandEntry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What one batch of events asked of an item: a time (epoch ms) and the fields of `Asked`, for each second.

    `returns`: times of returns and of their purchases (epoch ms, 0: not known), and what they take back: purchases,
    revenue, acts, interest, each 0 or below.
    """

    groups: list[tuple[int, float, float, float, float, float, float, float, float]]
    returns: list[tuple[int, int, float, float, float, float]] = []

    @property
    def is_asked(self) -> bool:
        """Whether it holds more than impressions."""
        return bool(self.returns) or any(any(amounts[:6]) for _, *amounts in self.groups)


class DemandTurn(NamedTuple):
    """An entry of an item, or where `entry` is None a timer that fired. `state` counts in the item's first turn of a batch."""

    item: str
    state: bytes | None
    entry: DemandEntry | None


@dataclass(slots=True)
class DemandActions:
    """What the engine must do after a batch: keep `states`, set `timers` (item -> ms from now), emit `records` (item, JSON)."""

    states: dict[str, bytes] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    records: list[tuple[str, bytes]] = field(default_factory=list)


class DemandSensors(Protocol):
    """Receives the reports of the operator; see `pipelines.job.demand_metrics` for Prometheus."""

    def on_batch(self, entries: int, records: int) -> None:
        """A batch had so many entries and gave so many records."""

    def on_own_error(self, where: str) -> None:
        """Liveshelf's own code raised; `where`: always "demand"."""


class NullDemandSensors:
    """Reports nothing."""

    def on_batch(self, entries: int, records: int) -> None:
        """Nothing."""

    def on_own_error(self, where: str) -> None:
        """Nothing."""


class DemandLogic:
    """One instance a subtask; all calls come from its task thread.

    An item's record goes out at once where the one before it is older than `every_ms`; else at that time, by a timer. The
    record of an hour's last counts goes out before the next hour begins. Impressions alone wait `SHOWN_EVERY` times as long.
    """

    def __init__(
        self, half_lives: HalfLives, every_ms: int, sensors: DemandSensors, clock_s: Callable[[], float]
    ) -> None:
        """`clock_s` gives epoch s."""
        self._half_lives, self._every_ms = half_lives, every_ms
        self._sensors, self._errors = sensors, OwnErrors(sensors.on_own_error, clock_s)

    def on_batch(self, turns: Sequence[DemandTurn], now_ms: int) -> DemandActions:
        """Reacts to entries and timers in their order. Raises nothing: an entry that fails changes nothing, and a timer that
        fails is set again."""
        actions, current = DemandActions(), dict[str, bytes | None]()
        for item, first_state, entry in turns:
            state = current.setdefault(item, first_state)
            try:
                self._turn(item, ItemCounts.read(state), entry, now_ms, actions)
                current[item] = actions.states.get(item, state)
            except Exception as error:
                self._errors.report("demand", error)
                if entry is None:
                    actions.timers[item] = RETRY_MS
        self._sensors.on_batch(sum(turn.entry is not None for turn in turns), len(actions.records))
        return actions

    def _turn(
        self, item: str, counts: ItemCounts, entry: DemandEntry | None, now_ms: int, actions: DemandActions
    ) -> None:
        """Adds to the actions at the end: an error adds nothing."""
        records, delay_ms = list[bytes](), None
        if entry is not None:
            delay_ms = self._count(item, counts, entry, now_ms, records)
        elif 0 < counts.wake_ms <= now_ms or now_ms < counts.emitted_ms:  # else another timer stands, or none is needed
            records.append(self._record(item, counts, now_ms))
        else:
            return
        actions.states[item] = counts.pack()
        actions.records += [(item, record) for record in records]
        if delay_ms is not None:
            actions.timers[item] = delay_ms

    def _count(
        self, item: str, counts: ItemCounts, entry: DemandEntry, now_ms: int, records: list[bytes]
    ) -> int | None:
        """Counts, and adds the records that are due. Returns in how many ms a timer must fire; None: in none."""
        unsent, latest_ms = bool(counts.wake_ms), now_ms + AHEAD_MS
        counts.forget_later(latest_ms)
        added = [(min(moment_ms, latest_ms), None, Asked(*amounts)) for moment_ms, *amounts in entry.groups]
        taken = [
            (min(moment_ms, latest_ms), bought_ms, _taken(*amounts)) for moment_ms, bought_ms, *amounts in entry.returns
        ]
        # what was bought in this batch is counted before it is taken back
        for moment_ms, bought_ms, asked in sorted([*added, *taken], key=lambda one: (one[0], one[1] is not None)):
            if unsent and counts.begins_hour(moment_ms):
                records.append(self._record(item, counts, now_ms))
            if bought_ms is None:
                counts.add(moment_ms, asked, self._half_lives)
            else:
                counts.take_back(moment_ms, min(bought_ms, moment_ms), asked, self._half_lives)
            unsent = True
        since_ms, every_ms = now_ms - counts.emitted_ms, self._every_ms * (1 if entry.is_asked else SHOWN_EVERY)
        if records or 0 <= since_ms < every_ms:
            since_ms = 0 if records else since_ms
            if now_ms < counts.wake_ms <= now_ms + every_ms:
                return None
            counts.wake_ms = now_ms + every_ms - since_ms
            return every_ms - since_ms
        records.append(self._record(item, counts, now_ms))  # it is due, or the clock was set back
        return None

    def _record(self, item: str, counts: ItemCounts, now_ms: int) -> bytes:
        """The record that goes out now."""
        counts.emitted_ms, counts.wake_ms = now_ms, 0
        return _encode(record_of(item, counts, self._half_lives))


def _taken(purchases: float, revenue: float, acts: float, interest: float) -> Asked:
    return Asked(purchases=purchases, revenue=revenue, acts=acts, interest=interest)


def record_of(item: str, counts: ItemCounts, half_lives: HalfLives) -> ItemDemand:
    """The record of an item. `trend`: (recent + 1) / (what would be recent if the item were asked for as usual, + 1)."""
    acts, interest, recent = (max(0.0, number) for number in (counts.acts, counts.interest, counts.recent))
    views, carts, purchases, revenue = _rounded([max(0.0, number) for number in counts.sums])
    return ItemDemand(
        item_id=item,
        views=views,
        carts=carts,
        purchases=purchases,
        revenue=revenue,
        acts=round(acts, DIGITS),
        interest=round(interest, DIGITS),
        recent=round(recent, DIGITS),
        trend=round((recent + 1) / (acts * usual_share(half_lives) + 1), DIGITS),
        hour=_hour(counts.hour_ms, counts.hour),
        previous_hour=_hour(counts.hour_ms - HOUR_MS, counts.previous),
        counted_at=counts.at_ms,
        impressions=round(max(0.0, counts.impressions), DIGITS),
        clicks=round(max(0.0, counts.clicks), DIGITS),
    )


def _hour(began_at: int, counts: list[float]) -> HourDemand:
    views, carts, purchases, revenue = _rounded(counts)
    return HourDemand(began_at=began_at, views=views, carts=carts, purchases=purchases, revenue=revenue)


def _rounded(counts: list[float]) -> list[float]:
    return [round(count, DIGITS) for count in counts]
