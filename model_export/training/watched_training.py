"""Runs a training with metrics for Prometheus, logs for TensorBoard on request, and a record of its lineage."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from model_export.measures.training_log import Log
from model_export.training.process_group import ProcessGroup, join_group
from model_export.training.train import train
from model_export.training.train_metrics import TrainMetrics
from model_export.training.train_options import TrainingData, TrainOptions


class TrainingRecord(Protocol):
    """A record of the training's end; its `facts` go into the bundle's manifest."""

    facts: dict[str, Any]

    def failed(self, error: BaseException) -> None:
        """The training failed; there is no bundle."""

    def completed(self, manifest: dict[str, Any]) -> None:
        """The bundle is exported and verified."""


@dataclass(frozen=True)
class Watch:
    """The observers of a training: `log` gets lines for people. Prometheus reads `metrics_port`, which the file `targets`
    announces. `lineage` starts a record of the input files. `tensorboard`: a folder or None."""

    log: Log
    metrics_port: int
    targets: Path | None
    lineage: Callable[[Sequence[Path]], TrainingRecord]
    tensorboard: Path | None = None


def train_watched(
    source: TrainingData, out: Path, options: TrainOptions, device: str, watch: Watch
) -> dict[str, Any] | None:
    """Trains as `train` does and returns the manifest of the bundle. Of a `torchrun` only the first process logs, reports,
    tests and exports; the others return None. `device`: as in `process_group.device_of`."""
    with join_group(device) as group:
        if group.rank:
            train(source, out, options, log=lambda _: None, group=group)
            return None
        return _train_first(source, out, options, group, watch)


def _train_first(
    source: TrainingData, out: Path, options: TrainOptions, group: ProcessGroup, watch: Watch
) -> dict[str, Any]:
    with ExitStack() as exit_stack:
        metrics = TrainMetrics(watch.metrics_port, watch.targets)
        exit_stack.callback(metrics.close)
        record = watch.lineage([file for file in source.files() if file.is_file()])
        report, show_items = metrics.report, None
        if watch.tensorboard is not None:
            from model_export.training.tensorboard_log import TensorBoardLog

            tensorboard_log = TensorBoardLog(watch.tensorboard, metrics.report)
            exit_stack.callback(tensorboard_log.close)
            report, show_items = tensorboard_log.report, tensorboard_log.items
        try:
            manifest = train(
                source,
                out,
                options,
                log=watch.log,
                report=report,
                show_items=show_items,
                lineage=record.facts,
                group=group,
            )
        except BaseException as error:
            record.failed(error)
            raise
    record.completed(manifest)
    return manifest
