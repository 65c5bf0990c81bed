"""`liveshelf tune`: hyper-parameters by a search on the validation window; the test is never looked at."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from model_export.data.splits import validation
from model_export.measures.training_log import Log
from model_export.training.fit import fit
from model_export.training.fit_options import FitOptions
from model_export.training.process_group import ALONE, ProcessGroup
from model_export.training.train import DROPOUTS, tasks_of
from model_export.training.train_options import TrainingData, TrainOptions, settings_text, split_of
from model_export.training.training import Training

AIM = "validation_mrr20"  # of `train_metrics.METRICS`: what a trial is judged by
STARTED = 4  # trials before the first can be stopped early, and before the sampler leaves chance


def suggested(trial: Trial, fitting: FitOptions, epochs: int) -> FitOptions:
    """A point of the search space. The rate falls to zero over the epochs, so that their number belongs to the point."""
    return replace(
        fitting,
        epochs=trial.suggest_int("epochs", max(epochs // 3, 1), epochs),
        dropout=trial.suggest_float("dropout", 0.05, 0.65, step=0.05),
        item_dropout=trial.suggest_float("item_dropout", 0.0, 0.3, step=0.05),
        learning_rate=trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-7, 1e-3, log=True),
        scale=trial.suggest_float("scale", 10.0, 22.0, step=1.0),
    )


def first_points(fitting: FitOptions, epochs: int) -> list[dict[str, Any]]:
    """The first trials: what `train` would try by itself, so that the search ends no worse."""
    defaults = {name: getattr(fitting, name) for name in ("item_dropout", "learning_rate", "weight_decay", "scale")}
    return [defaults | {"epochs": epochs, "dropout": dropout} for dropout in DROPOUTS]


def tune(
    source: TrainingData,
    out: Path,
    options: TrainOptions,
    *,
    trials: int,
    epochs: int,
    log: Log,
    group: ProcessGroup = ALONE,
) -> dict[str, Any]:
    """Searches until `trials` have ended in all, writes the best to `out` (TOML) and returns what was found.

    The study is kept beside it (`.study`): the same command goes on where it was stopped, a larger `trials` searches on.
    A trial whose metric after an epoch is below the median of those before is stopped (optuna's MedianPruner); points
    come from a tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011). Raises `EventsFileError` as `split_of`.
    """
    split, options = split_of(source, options)
    before, questions = validation(split, options.seed)
    log(
        f"{len(split.words)} items, {len(before)} examples to learn from, {len(questions)} questions of the window after them"
    )
    study = _study(out.with_suffix(".study"), options.seed)
    if not study.trials:
        for point in first_points(options.fitting(), epochs):
            study.enqueue_trial(point)
    for stopped in study.get_trials(states=(TrialState.RUNNING,)):  # by a kill: once more
        study.tell(stopped.number, state=TrialState.FAIL)
        study.enqueue_trial(stopped.params)

    def objective(trial: Trial) -> float:
        fitting = replace(suggested(trial, options.fitting(), epochs), patience=epochs)
        last, epoch = 0.0, 0

        def report(name: str, value: float) -> None:
            nonlocal last, epoch
            epoch = int(value) if name == "epoch" else epoch
            if name == AIM:
                last = value
                trial.report(value, epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned

        tasks = tasks_of(split, before, questions, fitting, log)
        fit(Training(before, len(split.words), fitting, tasks, group), questions, lambda _: None, report)
        return last

    while (remaining := trials - len(_ended(study))) > 0:
        study.optimize(objective, n_trials=1, callbacks=[lambda _, trial: log(_trial_line(trial, remaining, study))])
    best = suggested(optuna.trial.FixedTrial(study.best_params), options.fitting(), epochs)
    remark = f"liveshelf tune, {len(_ended(study))} trials on {source.name}: validation MRR@20 {study.best_value:.4f}"
    out.write_text(settings_text(best, remark))
    begins = [trial.value for trial in study.trials[: len(DROPOUTS)] if trial.value is not None]
    return {
        "trials": len(_ended(study)),
        "stopped_early": len(study.get_trials(states=(TrialState.PRUNED,))),
        "validation_mrr20": round(study.best_value, 4),
        "without_search": round(max(begins), 4) if begins else None,
        "settings": study.best_params,
    }


def _study(file: Path, seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file.parent.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        study_name="liveshelf",
        storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(file))),
        sampler=optuna.samplers.TPESampler(n_startup_trials=STARTED, seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTED, n_warmup_steps=1),
        direction="maximize",
        load_if_exists=True,
    )


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def _trial_line(trial: FrozenTrial, remaining: int, study: optuna.Study) -> str:
    result = f"{trial.value:.4f}" if trial.state == TrialState.COMPLETE else "stopped early"
    point = ", ".join(f"{name} {value:.3g}" for name, value in trial.params.items())
    seconds = trial.duration.total_seconds() if trial.duration else 0
    return f"trial {trial.number}: {result} with {point}; {seconds:.0f} s, {remaining - 1} left, best {study.best_value:.4f}"
