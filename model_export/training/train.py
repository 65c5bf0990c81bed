"""`liveshelf train`: trains a model on a split, compares it with the baselines and exports a bundle."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from model_export.baselines.comparison import evaluate_baselines
from model_export.bundles.bundle_folder import check_place
from model_export.bundles.click_points import Calibration
from model_export.bundles.export import export_bundle
from model_export.data.dataset import Examples
from model_export.data.splits import Split, validation
from model_export.evaluation.full_ranking import evaluate
from model_export.measures.training_log import Log, Report, TrainingLog, unreported
from model_export.models.adapters import read_encoder, write_encoder
from model_export.models.cold_start import add_cold_items
from model_export.models.encoders import NextItem
from model_export.models.rating_task import RatingTask
from model_export.models.search_task import SearchTask
from model_export.models.session_task import SessionTask
from model_export.models.tasks import Task
from model_export.training.fit import Fitted, fit
from model_export.training.fit_options import FitOptions
from model_export.training.process_group import SINGLE_PROCESS, ProcessGroup
from model_export.training.train_options import TrainingData, TrainOptions, split_of
from model_export.training.training import Training
from model_export.training.training_checkpoint import TrainingCheckpoint
from operators.model.bundle_files import check_label
from operators.shopper.features import Vocabulary

ShowItems = Callable[[npt.NDArray[np.float32], list[str]], None]  # item vectors float32 [N, d], names
# tried in this order until one is no better: clicks need the first; it is too high for regular sequences, such as order lines
DROPOUTS = (0.5, 0.3, 0.15)


def train(
    source: TrainingData,
    out: Path,
    options: TrainOptions,
    *,
    log: Log,
    report: Report = unreported,
    show_items: ShowItems | None = None,
    lineage: dict[str, Any] | None = None,
    group: ProcessGroup = SINGLE_PROCESS,
) -> dict[str, Any]:
    """Searches the number of epochs on the window before the test, trains on all earlier examples, exports a bundle.

    Returns the bundle's manifest, which contains `lineage`. `show_items` gets the item vectors and their titles or ids. It
    trains a second time because the bundle must know the newest events before the test. A killed training continues after
    its last complete epoch when it is started again. Only the first process of a group tests and exports; the others
    return an empty manifest. Raises `EventsFileError` as `split_of` does, and `BundleError` for a bad name or as
    `check_place` does.
    """
    check_label("name", options.name)  # else the bundle would be refused after hours
    check_place(out)
    split, options = split_of(source, options)
    started_s, training_log = time.monotonic(), TrainingLog(report)
    _log_split(split, options, group, log)
    report("items", len(split.words))
    report("examples", len(split.train))
    encoder_weights = None if options.encoder_from is None else read_encoder(options.encoder_from)
    fit_options, validation_metrics = search_options(split, out, options, log, training_log, group, encoder_weights)
    training_log.part("final")
    tasks = tasks_of(split, split.train, split.test, fit_options, log)
    training = Training(split.train, len(split.words), fit_options, tasks, group, encoder_weights)
    model = fit(training, None, log, training_log.report, _checkpoint(out, "final", log)).model
    if group.rank:
        return {}
    if options.encoder_out is not None:
        write_encoder(model, options.encoder_out)
    words = _with_cold_items(model, split, log)
    seconds = time.monotonic() - started_s
    log(f"trained in {seconds:.0f} s; testing beside the baselines")
    label = f"{options.size} ({fit_options.encoder}, width {fit_options.width})"
    facts = {
        "name": options.name,
        "hop": fit_options.hop,
        "trained_on": split.trained_on,
        "cleaning": split.cleaning,
        "lineage": lineage or {},
        "settings": asdict(fit_options) | {"size": options.size, "seconds": round(seconds)},
        "metrics": _metrics(model, split, label, tasks, validation_metrics, log),
    }
    if show_items is not None:
        show_items(model.table()[1:].detach().numpy(), _titles(split, words))
    calibration = Calibration(split.test, split.test if split.later is None else split.later)
    parts = model, words, split.train, split.test, out, facts, training_log
    manifest = export_bundle(*parts, calibration=calibration)
    for file in out.parent.glob(f".{out.name}.*.checkpoint"):
        file.unlink()
    return manifest


def _log_split(split: Split, options: TrainOptions, group: ProcessGroup, log: Log) -> None:
    for file, counts in split.cleaning.items():
        log(f"{file}: " + ", ".join(f"{reason} {count}" for reason, count in counts.items()))
    log(f"{len(split.words)} items, {len(split.train)} examples to learn from, {len(split.test)} to test on")
    log(f"training on {group.device}, {group.size} process(es)")
    fit_options = options.fit_options()
    least = fit_options.window - fit_options.hop + 1
    log(f"the model sees the newest {'' if fit_options.hop == 1 else f'{least} to '}{fit_options.window} steps")


def _with_cold_items(model: NextItem, split: Split, log: Log) -> Vocabulary:
    """The vocabulary with the cold items, whose vectors come from their titles."""
    words = add_cold_items(model, split.words, split.texts.cold_items)
    if len(words) > len(split.words):
        count = len(words) - len(split.words)
        log(f"{count} items of the catalogue that were met too seldom got a place by their titles")
    return words


def _metrics(
    model: NextItem, split: Split, label: str, tasks: Sequence[Task], validation_metrics: dict[str, float], log: Log
) -> dict[str, Any]:
    """The manifest's `metrics`: the test metrics of the model (named `label`) and of the baselines, and the tasks' metrics."""
    test_metrics = {label: evaluate(model, split.test)}
    test_metrics |= evaluate_baselines(split.train, split.test, len(split.words), log, timed=split.timed)
    return {
        "split": split.protocol,
        "questions": len(split.test),
        "validation": validation_metrics,
        "test": test_metrics,
        "tasks": {task.name: task.metrics(model) for task in tasks},
        "best": max(test_metrics, key=lambda name: test_metrics[name]["NDCG@20"]),
    }


def _titles(split: Split, words: Vocabulary) -> list[str]:
    """The title of each item, or its id without a title, in the order of the model's rows."""
    titles = dict(zip(split.texts.titles.rows.tolist(), split.texts.titles.texts, strict=True))
    titles |= {words.row(item): title for item, title in split.texts.cold_items}
    return [titles.get(row, item) for row, item in enumerate(words.item_ids, start=1)]


def search_options(
    split: Split,
    out: Path,
    options: TrainOptions,
    log: Log,
    training_log: TrainingLog,
    group: ProcessGroup,
    encoder_weights: dict[str, Tensor] | None = None,
) -> tuple[FitOptions, dict[str, float]]:
    """The hyper-parameters with the best number of epochs and dropout, and their validation metrics."""
    fit_options = options.fit_options()
    if options.epochs is not None:
        return replace(fit_options, epochs=options.epochs), {}
    earlier, questions = validation(split, options.seed)
    attempts: list[tuple[FitOptions, Fitted]] = []
    for dropout in DROPOUTS if options.dropout is None and options.fit is None else (fit_options.dropout,):
        log(f"searching the number of epochs with dropout {dropout}")
        training_log.part(f"search, dropout {dropout}")
        point = replace(fit_options, dropout=dropout)
        tasks = tasks_of(split, earlier, questions, point, log)
        checkpoint = _checkpoint(out, f"{dropout}", log)
        training = Training(earlier, len(split.words), point, tasks, group, encoder_weights)
        fitted = fit(training, questions, log, training_log.report, checkpoint)
        attempts.append((point, fitted))
        if len(attempts) > 1 and _quality(attempts[-1][1]) <= _quality(attempts[-2][1]):
            break  # on no data set was an even lower dropout better again
    best_options, fitted = max(attempts, key=lambda attempt: _quality(attempt[1]))
    log(f"training anew on all before the test, dropout {best_options.dropout}, {fitted.epochs} epochs")
    return replace(best_options, epochs=fitted.epochs), fitted.validation


def _quality(fitted: Fitted) -> float:
    return fitted.validation["NDCG@20"]


def tasks_of(split: Split, train: Examples, questions: Examples, fit_options: FitOptions, log: Log) -> list[Task]:
    """The tasks that have a weight and that the data can teach. The log gets a reason for each other task with a weight."""
    texts, tasks = split.texts, list[Task]()
    if fit_options.session:
        tasks.append(SessionTask(fit_options.session, train, questions))
    if fit_options.search:
        tasks.append(SearchTask(fit_options.search, texts.titles, texts.searches, texts.queries))
    if fit_options.rating:
        start_ms, rated = questions.time_ms.min(), split.rated or train
        tasks.append(
            RatingTask(
                fit_options.rating, rated.where(rated.time_ms < start_ms), rated.where(rated.time_ms >= start_ms)
            )
        )
    for task in tasks:
        if not task.teaches:
            log(f"the {task.name} task is not learned: {task.needs}")
    return [task for task in tasks if task.teaches]


def _checkpoint(out: Path, part: str, log: Log) -> TrainingCheckpoint:
    return TrainingCheckpoint(out.with_name(f".{out.name}.{part}.checkpoint"), log)
