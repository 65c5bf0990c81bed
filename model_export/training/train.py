"""`liveshelf train`: a split -> model -> evaluation beside the baselines -> bundle."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from model_export.baselines.comparison import judged
from model_export.bundles.bundle_folder import check_place
from model_export.bundles.export import export_bundle
from model_export.data.dataset import Examples
from model_export.data.splits import Split, validation
from model_export.evaluation.full_ranking import evaluate
from model_export.measures.training_log import Log, Report, TrainingLog, unreported
from model_export.models.adapters import read_encoder, write_encoder
from model_export.models.cold_start import welcome
from model_export.models.rating_task import RatingTask
from model_export.models.search_task import SearchTask
from model_export.models.session_task import SessionTask
from model_export.models.tasks import Task
from model_export.training.fit import Fitted, fit
from model_export.training.fit_options import FitOptions
from model_export.training.process_group import ALONE, ProcessGroup
from model_export.training.train_options import TrainingData, TrainOptions, split_of
from model_export.training.training import Training
from model_export.training.training_checkpoint import TrainingCheckpoint
from operators.model.bundle_files import check_label
from operators.shopper.features import Vocabulary

Show = Callable[[npt.NDArray[np.float32], list[str]], None]  # float32 [N, d], a name each
# tried until one is no better; what follows by rule (lines of an order) is unlearned by the first, which clicks need
DROPOUTS = (0.5, 0.3, 0.15)


def train(
    source: TrainingData,
    out: Path,
    options: TrainOptions,
    *,
    log: Log,
    report: Report = unreported,
    show: Show | None = None,
    lineage: dict[str, Any] | None = None,
    group: ProcessGroup = ALONE,
) -> dict[str, Any]:
    """Finds the number of epochs on the window before the test, trains anew on all that is known, exports.

    Returns the bundle's manifest, with `lineage` in it; `show` gets the item vectors and their titles or ids. Trained
    anew because the newest events before the test are those that the bundle must know best. A training that was killed
    goes on after its last whole epoch when it is started again. Of a group the first process alone tests and exports; the
    others get an empty manifest. Raises `EventsFileError` as `split_of` does, `BundleError` of a name that is none
    and as `check_place` does.
    """
    check_label("name", options.name)  # the bundle would be refused after hours
    check_place(out)
    split, options = split_of(source, options)
    items, started_s, training_log = len(split.words), time.monotonic(), TrainingLog(report)
    for file, counts in split.cleaning.items():
        log(f"{file}: " + ", ".join(f"{reason} {count}" for reason, count in counts.items()))
    log(f"{items} items, {len(split.train)} examples to learn from, {len(split.test)} to test on")
    log(f"training on {group.device}, {group.size} process(es)")
    log(f"the model sees the newest {options.fitting().window} steps")
    report("items", items)
    report("examples", len(split.train))
    start = None if options.encoder_from is None else read_encoder(options.encoder_from)
    fitting, validated = searched(split, out, options, log, training_log, group, start)
    training_log.part("final")
    checkpoint = _checkpoint(out, "final", log)
    tasks = tasks_of(split, split.train, split.test, fitting, log)
    training = Training(split.train, items, fitting, tasks, group, start)
    model = fit(training, None, log, training_log.report, checkpoint).model
    if group.rank:
        return {}
    if options.encoder_out is not None:
        write_encoder(model, options.encoder_out)
    words = welcome(model, split.words, split.texts.cold_items)
    if len(words) > items:
        log(f"{len(words) - items} items of the catalogue that were met too seldom got a place by their titles")
    seconds = time.monotonic() - started_s
    log(f"trained in {seconds:.0f} s; testing beside the baselines")
    label = f"{options.size} ({fitting.encoder}, width {fitting.width})"
    tested = {label: evaluate(model, split.test)} | judged(split.train, split.test, items, log, timed=split.timed)
    facts = {
        "name": options.name,
        "trained_on": split.trained_on,
        "cleaning": split.cleaning,
        "lineage": lineage or {},
        "settings": asdict(fitting) | {"size": options.size, "seconds": round(seconds)},
        "metrics": {
            "split": split.protocol,
            "questions": len(split.test),
            "validation": validated,
            "test": tested,
            "tasks": {task.name: task.metrics(model) for task in tasks},
            "best": max(tested, key=lambda name: tested[name]["NDCG@20"]),
        },
    }
    if show is not None:
        show(model.table()[1:].detach().numpy(), _titles(split, words))
    manifest = export_bundle(model, words, split.train, split.test, out, facts, training_log)
    for part in out.parent.glob(f".{out.name}.*.checkpoint"):
        part.unlink()
    return manifest


def _titles(split: Split, words: Vocabulary) -> list[str]:
    """The title of each item, its id where it has none, in the order of the model's rows."""
    titles = dict(zip(split.texts.titles.rows.tolist(), split.texts.titles.texts, strict=True))
    titles |= {words.row(item): title for item, title in split.texts.cold_items}
    return [titles.get(row, item) for row, item in enumerate(words.item_ids, start=1)]


def searched(
    split: Split,
    out: Path,
    options: TrainOptions,
    log: Log,
    training_log: TrainingLog,
    group: ProcessGroup,
    start: dict[str, Tensor] | None = None,
) -> tuple[FitOptions, dict[str, float]]:
    """The hyper-parameters with the number of epochs and the dropout that were best, and their validation metrics."""
    fitting = options.fitting()
    if options.epochs is not None:
        return replace(fitting, epochs=options.epochs), {}
    before, questions = validation(split, options.seed)
    tried: list[tuple[FitOptions, Fitted]] = []
    for dropout in DROPOUTS if options.dropout is None and options.fit is None else (fitting.dropout,):
        log(f"searching the number of epochs with dropout {dropout}")
        training_log.part(f"search, dropout {dropout}")
        point = replace(fitting, dropout=dropout)
        tasks = tasks_of(split, before, questions, point, log)
        checkpoint = _checkpoint(out, f"{dropout}", log)
        training = Training(before, len(split.words), point, tasks, group, start)
        fitted = fit(training, questions, log, training_log.report, checkpoint)
        tried.append((point, fitted))
        if len(tried) > 1 and _quality(tried[-1][1]) <= _quality(tried[-2][1]):
            break  # on no set that was looked at a lower one came back
    best, fitted = max(tried, key=lambda attempt: _quality(attempt[1]))
    log(f"training anew on all before the test, dropout {best.dropout}, {fitted.epochs} epochs")
    return replace(best, epochs=fitted.epochs), fitted.validation


def _quality(fitted: Fitted) -> float:
    return fitted.validation["NDCG@20"]


def tasks_of(split: Split, train: Examples, questions: Examples, fitting: FitOptions, log: Log) -> list[Task]:
    """The tasks with a weight that the data can teach; of the others it is said why not."""
    texts, tasks = split.texts, list[Task]()
    if fitting.session:
        tasks.append(SessionTask(fitting.session, train, questions))
    if fitting.search:
        tasks.append(SearchTask(fitting.search, texts.titles, texts.searched, texts.queries))
    if fitting.rating:
        begin, rated = questions.time_ms.min(), split.rated or train
        tasks.append(
            RatingTask(fitting.rating, rated.where(rated.time_ms < begin), rated.where(rated.time_ms >= begin))
        )
    for task in tasks:
        if not task.teaches:
            log(f"the {task.name} task is not learned: {task.needs}")
    return [task for task in tasks if task.teaches]


def _checkpoint(out: Path, part: str, log: Log) -> TrainingCheckpoint:
    return TrainingCheckpoint(out.with_name(f".{out.name}.{part}.checkpoint"), log)
