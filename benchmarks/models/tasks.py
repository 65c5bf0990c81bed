"""Each task alone beside all of them jointly, on one split and with the same batches: does any lose by company?"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import ratio
from benchmarks.models.seeds import mean_and_deviation, say
from operators.errors import LiveshelfError

COMPARED = ("MRR@20", "AUC")  # ends of the names of the metrics that make ratios


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
    """Means and standard deviations over seeds. `weights`: of the tasks beside the next item, which has 1.

    Raises `LiveshelfError` without the train extra and where the data teaches no task.
    """
    try:
        from model_export.evaluation.full_ranking import evaluate
        from model_export.training.fit import fit
        from model_export.training.train import tasks_of
        from model_export.training.train_options import TrainingData, TrainOptions, split_of
        from model_export.training.training import Training
    except ImportError as error:
        raise LiveshelfError("torch, which trains", str(error), "make train-deps") from error

    options = TrainOptions(test_from=test_from, epochs=epochs, dropout=dropout)
    fitting = replace(options.fitting(), epochs=epochs)
    split, options = split_of(TrainingData(events, catalogue), options)
    items = len(split.words)
    taught = [task.name for task in tasks_of(split, split.train, split.test, replace(fitting, **weights), say)]
    if not taught:
        raise LiveshelfError(
            "clicks, carts or purchases among views, searches, titles or ratings", "none", "give other events"
        )
    trainings = {"personal": {}} | {name: {"personal": 0.0, name: weights[name]} for name in taught}
    trainings["joint"] = {name: weights[name] for name in taught}
    metrics: dict[str, dict[str, dict[str, list[float]]]] = {}
    for label, given in trainings.items():
        for seed in range(7, 7 + seeds):
            trained = replace(fitting, seed=seed, **given)
            tasks = tasks_of(split, split.train, split.test, trained, say)
            model = fit(Training(split.train, items, trained, tasks), None, say).model
            metrics = {task.name: task.metrics(model) for task in tasks}
            if trained.personal:
                metrics["personal"] = evaluate(model, split.test)
            for task, values in metrics.items():
                for name, value in values.items():
                    metrics.setdefault(task, {}).setdefault(name, {}).setdefault(label, []).append(value)
    return {
        "bench": "tasks",
        "events": events.name,
        "examples": len(split.train),
        "questions": len(split.test),
        "epochs": epochs,
        "dropout": dropout,
        "seeds": seeds,
        "weights": weights,
        **_summary(metrics),
        "machine": describe(),
    }


def _summary(found: dict[str, dict[str, dict[str, list[float]]]]) -> dict[str, Any]:
    """`found`: task -> metric -> training -> a value each seed."""
    tasks = {
        task: {
            name: {"alone": mean_and_deviation(of[task], 4), "joint": mean_and_deviation(of["joint"], 4)}
            for name, of in metrics.items()
        }
        for task, metrics in found.items()
    }
    ratios = {
        f"{task}: {name}, joint to alone": ratio(of["joint"][0], of["alone"][0], 4)
        for task, metrics in tasks.items()
        for name, of in metrics.items()
        if name.endswith(COMPARED)
    }
    return {"tasks": tasks, "ratios": ratios}
