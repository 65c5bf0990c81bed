"""The feedback join's Python half: carries batches between Flink and `operators.feedback.feedback_logic`.

It runs in the thread of the refresh operator, behind it. Like that one it touches no Java object.
"""

import time
from pathlib import Path

from operators.feedback.feedback_logic import FeedbackLogic, NullFeedbackSensors
from operators.feedback.join_limits import Windows
from operators.settings import Settings
from operators.telemetry.chosen_sensors import chosen
from operators.telemetry.logs import configure
from pipelines.job.feedback_messages import FeedbackMessage
from pipelines.job.feedback_metrics import FeedbackMetrics
from pipelines.scoring.wake_up import NO_PIPE


class FeedbackFunction:
    """What `org.liveshelf.bridge.BatchedOperator` calls, all on its task thread."""

    def __init__(self, settings: Settings, code: Path, python: str) -> None:
        """`code` and `python` as in `RefreshFunction`; the join needs neither a bundle nor another process."""
        self._settings = settings
        self._metrics: FeedbackMetrics | None = None

    def open(self, subtask: int) -> None:
        """Takes a port. The Java half calls `close` after an `open` that failed too."""
        configure("operator")
        settings = self._settings
        self._metrics = FeedbackMetrics(settings.job, subtask)
        windows = Windows.of(settings.feedback, settings.lists.ttl_hours)
        self._logic = FeedbackLogic(windows, now_ms(), chosen(self._metrics, NullFeedbackSensors()), time.time)

    def wake_up_descriptor(self) -> int:
        """`NO_PIPE`."""
        return NO_PIPE

    def on_batch(self, message: bytes) -> bytes:
        """A batch of entries and timers, as `pipelines.job.feedback_messages` describes."""
        batch = FeedbackMessage(message)
        return batch.answer(self._logic.on_batch(batch.turns, now_ms()))

    def close(self) -> None:
        """Stops the metrics server."""
        if self._metrics is not None:
            self._metrics.close()


def now_ms() -> int:
    """The wall clock, epoch ms."""
    return time.time_ns() // 1_000_000
