"""The feedback operator's reaction to a batch of entries and timers, without Flink."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from operators.feedback.feedback_join import FeedbackJoin
from operators.feedback.join_entries import ArmsEntry, JoinEntry, apply_entry
from operators.feedback.join_limits import Limits, Windows
from operators.feedback.join_records import ArmOutcome, Joined
from operators.feedback.partition_clocks import PartitionClocks
from operators.telemetry.own_errors import OwnErrors

RETRY_MS = 60_000  # after an error of our own at a timer


class FeedbackTurn(NamedTuple):
    """An entry of a user, or where `entry` is None a timer that fired. `state` counts in the user's first turn of a batch.

    `timer_ms`: the processing time, epoch ms, that the timer was set for.
    """

    user: str
    state: bytes | None
    entry: JoinEntry | None
    timer_ms: int = 0


@dataclass(slots=True)
class FeedbackActions:
    """What the engine must do after a batch: keep `states` (None: clear it), set `timers` (user -> ms from now), emit
    `examples` (user, JSON)."""

    states: dict[str, bytes | None] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    examples: list[tuple[str, bytes]] = field(default_factory=list)


class FeedbackSensors(Protocol):
    """Receives the reports of the operator; see `pipelines.job.feedback_metrics` for Prometheus."""

    def on_joined(self, reason: str, count: int) -> None:
        """The join counted examples, records or lists; `reason`: one of `join_records.REASONS`."""

    def on_arms(self, arms: Collection[tuple[str, str]]) -> None:
        """These (experiment, arm) run from now on."""

    def on_arm_outcome(self, outcome: ArmOutcome) -> None:
        """Shoppers of an arm did something."""

    def on_own_error(self, where: str) -> None:
        """Liveshelf's own code raised; `where`: always "feedback"."""


class NullFeedbackSensors:
    """Reports nothing."""

    def on_joined(self, reason: str, count: int) -> None:
        """Nothing."""

    def on_arms(self, arms: Collection[tuple[str, str]]) -> None:
        """Nothing."""

    def on_arm_outcome(self, outcome: ArmOutcome) -> None:
        """Nothing."""

    def on_own_error(self, where: str) -> None:
        """Nothing."""


class FeedbackLogic:
    """One instance a subtask; all calls come from its task thread."""

    def __init__(
        self,
        windows: Windows,
        started_ms: int,
        sensors: FeedbackSensors,
        clock_s: Callable[[], float],
        limits: Limits | None = None,
    ) -> None:
        """`started_ms`: as in `PartitionClocks`; `clock_s` gives epoch s."""
        self._clocks = PartitionClocks(started_ms)
        self._join = FeedbackJoin(windows, self._clocks, limits)
        self._sensors, self._errors = sensors, OwnErrors(sensors.on_own_error, clock_s)

    def on_batch(self, turns: Sequence[FeedbackTurn], now_ms: int) -> FeedbackActions:
        """Reacts to entries and timers in their order. Raises nothing: an entry whose join fails changes nothing, and a timer
        that fails is set again."""
        actions, current = FeedbackActions(), dict[str, bytes | None]()
        for user, first_state, entry, timer_ms in turns:
            state = current.setdefault(user, first_state)
            try:
                # a timer that fired has come, whatever a clock that was set back says
                joined = self._joined(user, state, entry, max(now_ms, timer_ms))
            except Exception as error:
                self._errors.report("feedback", error)
                if entry is None:
                    actions.timers[user] = RETRY_MS
                continue
            if joined is not None:
                if joined.state != state:
                    current[user] = actions.states[user] = joined.state
                self._add(user, joined, now_ms, actions)
        return actions

    def _joined(self, user: str, state: bytes | None, entry: JoinEntry | None, now_ms: int) -> Joined | None:
        if entry is None:
            return self._join.on_timer(user, state, now_ms)
        if isinstance(entry, ArmsEntry):
            self._sensors.on_arms(entry.arms)
            return None
        return apply_entry(self._join, self._clocks, user, state, entry, now_ms)

    def _add(self, user: str, joined: Joined, now_ms: int, actions: FeedbackActions) -> None:
        """Adds all that an input caused but the state. The newest timer of a user is the earliest one that it needs."""
        actions.examples += [(user, example) for example in joined.examples]
        if joined.wake_ms is not None:
            actions.timers[user] = max(1, joined.wake_ms - now_ms)
        for reason, count in joined.counts.items():
            self._sensors.on_joined(reason, count)
        for outcome in joined.of_arms:
            self._sensors.on_arm_outcome(outcome)
