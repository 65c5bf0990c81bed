"""`liveshelf tune`: searches hyper-parameters on the validation window; it never uses the test."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from model_export.data.dataset import Examples
from model_export.data.splits import validation
from model_export.measures.training_log import Log
from model_export.training.fit import fit
from model_export.training.fit_options import FitOptions
from model_export.training.process_group import SINGLE_PROCESS, ProcessGroup
from model_export.training.train import DROPOUTS, tasks_of
from model_export.training.train_options import TrainingData, TrainOptions, settings_text, split_of
from model_export.training.training import Training

OBJECTIVE = "validation_mrr20"  # of `train_metrics.METRICS`, maximised
STARTUP_TRIALS = 4  # random trials before the sampler and the early stop take effect


def suggest_options(trial: Trial, fit_options: FitOptions, epochs: int) -> FitOptions:
    """A point of the search space. It includes the number of epochs, over which the learning rate falls to zero."""
    return replace(
        fit_options,
        epochs=trial.suggest_int("epochs", max(epochs // 3, 1), epochs),
        dropout=trial.suggest_float("dropout", 0.05, 0.65, step=0.05),
        item_dropout=trial.suggest_float("item_dropout", 0.0, 0.3, step=0.05),
        learning_rate=trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-7, 1e-3, log=True),
        scale=trial.suggest_float("scale", 10.0, 22.0, step=1.0),
    )


def first_points(fit_options: FitOptions, epochs: int) -> list[dict[str, Any]]:
    """The first trials: the points that `train` itself would try, so that the search ends no worse."""
    defaults = {name: getattr(fit_options, name) for name in ("item_dropout", "learning_rate", "weight_decay", "scale")}
    return [defaults | {"epochs": epochs, "dropout": dropout} for dropout in DROPOUTS]


def tune(
    source: TrainingData,
    out: Path,
    options: TrainOptions,
    *,
    trials: int,
    epochs: int,
    log: Log,
    group: ProcessGroup = SINGLE_PROCESS,
) -> dict[str, Any]:
    """Searches until the study has `trials` ended trials, writes the best settings to `out` (TOML) and returns a summary.

    The study is stored beside `out` (`.study`): the same command continues an interrupted search, and larger `trials`
    extend it. A trial stops early if its metric after an epoch is below the median of earlier trials (optuna's
    MedianPruner). A tree-structured Parzen estimator chooses the points (Bergstra et al., NeurIPS 2011). Raises
    `EventsFileError` as `split_of`.
    """
    split, options = split_of(source, options)
    train, questions = validation(split, options.seed)
    log(
        f"{len(split.words)} items, {len(train)} examples to learn from, {len(questions)} questions of the window after them"
    )
    study = _study(out.with_suffix(".study"), options.seed)
    if not study.trials:
        for point in first_points(options.fit_options(), epochs):
            study.enqueue_trial(point)
    for killed in study.get_trials(states=(TrialState.RUNNING,)):  # runs again
        study.tell(killed.number, state=TrialState.FAIL)
        study.enqueue_trial(killed.params)

    def objective(trial: Trial) -> float:
        fit_options = replace(suggest_options(trial, options.fit_options(), epochs), patience=epochs)
        tasks = tasks_of(split, train, questions, fit_options, log)
        return _run_trial(trial, Training(train, len(split.words), fit_options, tasks, group), questions)

    while (remaining := trials - len(_ended_trials(study))) > 0:
        study.optimize(objective, n_trials=1, callbacks=[lambda _, trial: log(_trial_line(trial, remaining, study))])
    best_options = suggest_options(optuna.trial.FixedTrial(study.best_params), options.fit_options(), epochs)
    count = len(_ended_trials(study))
    remark = f"liveshelf tune, {count} trials on {source.name}: validation MRR@20 {study.best_value:.4f}"
    out.write_text(settings_text(best_options, remark))
    return _summary(study)


def _run_trial(trial: Trial, training: Training, questions: Examples) -> float:
    """Trains a point and returns the `OBJECTIVE` of its last epoch. Raises `TrialPruned` if the trial stops early."""
    last_value, epoch = 0.0, 0

    def report(name: str, value: float) -> None:
        nonlocal last_value, epoch
        epoch = int(value) if name == "epoch" else epoch
        if name == OBJECTIVE:
            last_value = value
            trial.report(value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

    fit(training, questions, lambda _: None, report)
    return last_value


def _summary(study: optuna.Study) -> dict[str, Any]:
    first_values = [trial.value for trial in study.trials[: len(DROPOUTS)] if trial.value is not None]
    return {
        "trials": len(_ended_trials(study)),
        "stopped_early": len(study.get_trials(states=(TrialState.PRUNED,))),
        "validation_mrr20": round(study.best_value, 4),
        "without_search": round(max(first_values), 4) if first_values else None,
        "settings": study.best_params,
    }


def _study(file: Path, seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file.parent.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        study_name="liveshelf",
        storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(file))),
        sampler=optuna.samplers.TPESampler(n_startup_trials=STARTUP_TRIALS, seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=1),
        direction="maximize",
        load_if_exists=True,
    )


def _ended_trials(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def _trial_line(trial: FrozenTrial, remaining: int, study: optuna.Study) -> str:
    result = f"{trial.value:.4f}" if trial.state == TrialState.COMPLETE else "stopped early"
    point = ", ".join(f"{name} {value:.3g}" for name, value in trial.params.items())
    seconds = trial.duration.total_seconds() if trial.duration else 0
    return f"trial {trial.number}: {result} with {point}; {seconds:.0f} s, {remaining - 1} left, best {study.best_value:.4f}"
