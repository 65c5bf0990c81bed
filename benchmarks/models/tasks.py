"""Compares each task trained alone with all tasks trained jointly, on one split and with the same batches."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import ratio
from benchmarks.models.seeds import mean_and_deviation, print_progress
from operators.errors import LiveshelfError

COMPARED = ("MRR@20", "AUC")  # metrics whose names end so get a ratio


# task -> metric -> training -> a value for each seed
Values = dict[str, dict[str, dict[str, list[float]]]]


def measure(
    events: Path,
    catalogue: Path | None,
    *,
    test_from: int | None,
    epochs: int,
    dropout: float,
    seeds: int,
    weights: dict[str, float],
) -> dict[str, Any]:
    """Means and standard deviations over the seeds. `weights`: of the tasks beside the next item, which has weight 1.

    Raises `LiveshelfError` without the train extra, and where the data teaches no task.
    """
    try:
        from model_export.evaluation.full_ranking import evaluate
        from model_export.training.fit import fit
        from model_export.training.train import tasks_of
        from model_export.training.train_options import TrainingData, TrainOptions, split_of
        from model_export.training.training import Training
    except ImportError as error:
        raise LiveshelfError("torch, which trains", str(error), "make train-deps") from error

    options, log = TrainOptions(test_from=test_from, epochs=epochs, dropout=dropout), print_progress
    base_options = replace(options.fit_options(), epochs=epochs)
    split, options = split_of(TrainingData(events, catalogue), options)
    candidates = tasks_of(split, split.train, split.test, replace(base_options, **weights), log)
    values: Values = {}
    for training, training_weights in trainings([task.name for task in candidates], weights).items():
        for seed in range(7, 7 + seeds):
            fit_options = replace(base_options, seed=seed, **training_weights)
            tasks = tasks_of(split, split.train, split.test, fit_options, log)
            model = fit(Training(split.train, len(split.words), fit_options, tasks), None, log).model
            metrics = {task.name: task.metrics(model) for task in tasks}
            if fit_options.personal:
                metrics["personal"] = evaluate(model, split.test)
            add(values, training, metrics)
    return {
        "bench": "tasks",
        "events": events.name,
        "examples": len(split.train),
        "questions": len(split.test),
        "epochs": epochs,
        "dropout": dropout,
        "seeds": seeds,
        "weights": weights,
        **summary(values),
        "machine": describe(),
    }


def trainings(tasks: list[str], weights: dict[str, float]) -> dict[str, dict[str, float]]:
    """Training -> its weights: the next item alone, each task alone, and all of them jointly."""
    if not tasks:
        raise LiveshelfError(
            "clicks, carts or purchases among views, searches, titles or ratings", "none", "give other events"
        )
    alone = {name: {"personal": 0.0, name: weights[name]} for name in tasks}
    return {"personal": {}, **alone, "joint": {name: weights[name] for name in tasks}}


def add(values: Values, training: str, metrics: dict[str, dict[str, float]]) -> None:
    """Adds the metrics of one training with one seed. `metrics`: task -> metric -> value."""
    for task, by_metric in metrics.items():
        for metric, value in by_metric.items():
            values.setdefault(task, {}).setdefault(metric, {}).setdefault(training, []).append(value)


def summary(values: Values) -> dict[str, Any]:
    """Mean and deviation of each metric, of the task trained alone and jointly, and their ratios."""
    tasks = {
        task: {
            metric: {
                "alone": mean_and_deviation(by_training[task], 4),
                "joint": mean_and_deviation(by_training["joint"], 4),
            }
            for metric, by_training in by_metric.items()
        }
        for task, by_metric in values.items()
    }
    ratios = {
        f"{task}: {metric}, joint to alone": ratio(statistics["joint"][0], statistics["alone"][0], 4)
        for task, by_metric in tasks.items()
        for metric, statistics in by_metric.items()
        if metric.endswith(COMPARED)
    }
    return {"tasks": tasks, "ratios": ratios}
