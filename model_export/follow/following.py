"""Runs rounds at their cadences until it is told to stop; one line a round."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from model_export.follow.candidate import Kind
from model_export.follow.follow_metrics import FollowMetrics
from model_export.follow.follower import Follower, Outcome
from model_export.follow.history import History
from model_export.measures.training_log import Log
from operators.errors import LiveshelfError

RETRY_S = 10.0  # after an error that may pass


@dataclass(frozen=True)
class Cadences:
    """Seconds from the end of one round to the next: of light rounds, and of those that train weights."""

    light_s: float
    weights_s: float

    def due(self, now_s: float, light_s: float, weights_s: float) -> Kind | None:
        """What is due at `now_s`, if the last rounds ended at the two times. A round of weights is a light one too."""
        if now_s >= weights_s + self.weights_s:
            return "weights"
        return "light" if now_s >= max(light_s, weights_s) + self.light_s else None

    def wait_s(self, now_s: float, light_s: float, weights_s: float) -> float:
        """Seconds until something is due."""
        return max(0.0, min(weights_s + self.weights_s, max(light_s, weights_s) + self.light_s) - now_s)


def run_rounds(
    follower: Follower,
    history: History,
    cadences: Cadences,
    stop: threading.Event,
    metrics: FollowMetrics,
    log: Log,
    clock_s: Callable[[], float] = time.time,
) -> None:
    """Returns after `stop` is set. An error of a round is logged and counted, and the round is tried again: nothing of it
    stays, so that it may be repeated. The first rounds come as long after the start as after another round; a round of
    weights may come earlier, as the last one may be long ago.

    Just before a round of weights comes a light one: else the gate would take weights that do harm for what the newer counts
    of the same candidate bring.
    """
    light_s = clock_s()
    weights_s, next_kind = follower.trained_s() or light_s, None
    while not stop.is_set():
        due = cadences.due(clock_s(), light_s, weights_s)
        if due is None and next_kind is None:
            stop.wait(cadences.wait_s(clock_s(), light_s, weights_s))
            continue
        kind: Kind = "light" if next_kind is None else next_kind
        try:
            follower.read()
            metrics.read(history, follower.lost, follower.weights_s(), clock_s())
            outcome = follower.round(kind, int(clock_s() * 1000))
        except LiveshelfError as error:
            metrics.failed(kind)
            log(f"round {kind}: failed, {error}")
            stop.wait(RETRY_S if error.retriable else cadences.light_s)
            continue
        metrics.ended(outcome, clock_s())
        log(line_of(outcome))
        light_s = clock_s()
        next_kind = "weights" if due == "weights" and kind == "light" else None
        if kind == "weights":
            weights_s = light_s


def line_of(outcome: Outcome) -> str:
    """A round in one line."""
    begin, gate = f"round {outcome.kind}: {outcome.verdict}", "; ".join(outcome.lines)
    if (candidate := outcome.candidate) is None:
        return f"{begin}, {gate}"
    learned = f", {candidate.new} new and {candidate.replayed} replayed examples" if outcome.kind == "weights" else ""
    items = f", {candidate.manifest['items']} items (+{candidate.joined} -{candidate.left})"
    return f"{begin} {candidate.manifest['version']}{learned}{items}, {outcome.seconds:.0f} s; {gate}"
