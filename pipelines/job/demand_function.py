"""The demand operator's Python half: carries batches between Flink and `operators.demand.demand_logic`.

It is keyed by item and has a thread of its own. Like the refresh operator it touches no Java object.
"""

import time
from pathlib import Path

from operators.demand.demand_logic import DemandLogic, NullDemandSensors
from operators.demand.item_counts import HalfLives
from operators.settings import Settings
from operators.telemetry.chosen_sensors import chosen
from operators.telemetry.logs import configure
from pipelines.job.demand_messages import DemandMessage
from pipelines.job.demand_metrics import DemandMetrics
from pipelines.scoring.wake_up import NO_PIPE


class DemandFunction:
    """What `org.liveshelf.bridge.BatchedOperator` calls, all on its task thread."""

    def __init__(self, settings: Settings, code: Path, python: str) -> None:
        """`code` and `python` as in `RefreshFunction`; this operator needs neither a bundle nor another process."""
        self._settings = settings
        self._metrics: DemandMetrics | None = None

    def open(self, subtask: int) -> None:
        """Takes a port. The Java half calls `close` after an `open` that failed too."""
        configure("operator")
        demand = self._settings.demand
        self._metrics = DemandMetrics(self._settings.job, subtask)
        sensors = chosen(self._metrics, NullDemandSensors())
        self._logic = DemandLogic(HalfLives.of(demand), round(1000 * demand.every_s), sensors, time.time)

    def wake_up_descriptor(self) -> int:
        """`NO_PIPE`."""
        return NO_PIPE

    def on_batch(self, message: bytes) -> bytes:
        """A batch of entries and timers, as `pipelines.job.demand_messages` describes."""
        batch = DemandMessage(message)
        return batch.answer(self._logic.on_batch(batch.turns, time.time_ns() // 1_000_000))

    def close(self) -> None:
        """Stops the metrics server."""
        if self._metrics is not None:
            self._metrics.close()
