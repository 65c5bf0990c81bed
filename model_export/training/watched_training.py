"""A training before the eyes of Prometheus, of TensorBoard where asked for, and of a record of lineage."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from model_export.measures.training_log import Log
from model_export.training.process_group import ProcessGroup, joined
from model_export.training.train import train
from model_export.training.train_metrics import TrainMetrics
from model_export.training.train_options import TrainingData, TrainOptions


class TrainingRecord(Protocol):
    """Hears of the end of a training; its `facts` go into the manifest of the bundle."""

    facts: dict[str, Any]

    def failed(self, error: BaseException) -> None:
        """There is no bundle."""

    def completed(self, manifest: dict[str, Any]) -> None:
        """The bundle is exported and verified."""


@dataclass(frozen=True)
class Watch:
    """Who watches: `log` gets lines for people, Prometheus reads `metrics_port` (announced in the file `targets`),
    `lineage` begins a record of these input files, `tensorboard` is a folder for it or None."""

    log: Log
    metrics_port: int
    targets: Path | None
    lineage: Callable[[Sequence[Path]], TrainingRecord]
    tensorboard: Path | None = None


def train_watched(
    source: TrainingData, out: Path, options: TrainOptions, device: str, watch: Watch
) -> dict[str, Any] | None:
    """The manifest of the new bundle, as `train`; None in all processes of a `torchrun` but the first, which alone logs,
    is watched, tests and exports. `device` as `process_group.device_of`."""
    with joined(device) as group:
        if group.rank:
            train(source, out, options, log=lambda _: None, group=group)
            return None
        return _train_first(source, out, options, group, watch)


def _train_first(
    source: TrainingData, out: Path, options: TrainOptions, group: ProcessGroup, watch: Watch
) -> dict[str, Any]:
    with ExitStack() as ends:
        metrics = TrainMetrics(watch.metrics_port, watch.targets)
        ends.callback(metrics.close)
        record = watch.lineage([file for file in source.files() if file.is_file()])
        report, show = metrics.report, None
        if watch.tensorboard is not None:
            from model_export.training.tensorboard_log import TensorBoardLog

            board = TensorBoardLog(watch.tensorboard, metrics.report)
            ends.callback(board.close)
            report, show = board.report, board.items
        try:
            manifest = train(
                source, out, options, log=watch.log, report=report, show=show, lineage=record.facts, group=group
            )
        except BaseException as error:
            record.failed(error)
            raise
    record.completed(manifest)
    return manifest
