"""`liveshelf evaluate` on canonical events: compares a bundle with the baselines, with slices and the state-age curve."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model_export.baselines.comparison import evaluate_baselines
from model_export.data.dataset import DEFAULTS, Examples, examples, read_events
from model_export.data.learnable import learnable
from model_export.data.splits import QUESTIONS, checked_test_start, drawn_questions
from model_export.evaluation.click_calibration import clicks_of_bundle
from model_export.evaluation.served import Served, ranks_of_candidates
from model_export.evaluation.state_age import aged, state_age_curve
from model_export.measures.ranking_metrics import percent, summary
from model_export.measures.training_log import Log
from operators.configuration.shop_settings import EventSettings
from operators.errors import EventsFileError
from operators.model.model_bundle import ModelBundle
from operators.model.unit_rows import unit_rows
from operators.quality.drift import popularity_places
from operators.quality.slate_quality import SlateMeter
from operators.shopper.state_layout import HISTORY
from operators.time_units import DAY_MS

LENGTHS = {"1": (1, 2), "2 to 4": (2, 5), "5 to 19": (5, 20), "20 and more": (20, HISTORY + 1)}  # known items
ITEM_AGES = {"under 7 days": (0, 7), "7 to 30 days": (7, 30), "over 30 days": (30, 1 << 30)}
SUPPORT = {"never": (0, 1), "1 to 9": (1, 10), "10 to 99": (10, 100), "100 and more": (100, 1 << 60)}
SEED = 7


def evaluate_events(
    bundle: ModelBundle, events_file: Path, test_from: int | None, log: Log, limits: EventSettings = DEFAULTS
) -> dict[str, Any]:
    """As `evaluate_sessions`, on the events from `test_from` (default: the end of the bundle's training) on.

    Also: properties of the lists, slices by length of history, by age of the target and by its support, the state-age
    curve, and whether the click probabilities come true. Raises `EventsFileError` if the file has no events before or after `test_from`.
    """
    events, counts = learnable(read_events(events_file, log, limits))
    log(f"{events_file.name}: " + ", ".join(f"{reason} {count}" for reason, count in counts.items()))
    all_examples = examples(events, bundle.vocabulary, limits, HISTORY)
    test_start_ms = (
        int(bundle.manifest["trained_on"]["to_ms"]) if test_from is None else checked_test_start(events, test_from)
    )
    train = all_examples.where(all_examples.time_ms < test_start_ms)
    later = all_examples.where(all_examples.time_ms >= test_start_ms)
    questions = drawn_questions(later, QUESTIONS, SEED)
    if not len(train) or not len(questions):
        problem = f"{len(train)} events of known items before {test_start_ms}, {len(questions)} questions after it"
        raise EventsFileError("events before and after the test begins", problem, "give --test-from, or more events")
    served, items = Served(bundle), len(bundle.vocabulary)
    fresh_features = aged(questions, 0, bundle.window, bundle.hop)
    scores, rows = served.candidates(fresh_features)
    rank = ranks_of_candidates(scores, rows, questions.target)
    bundle_metrics = percent(summary(rank))
    log(f"{bundle.name} {bundle.version}: {bundle_metrics}")
    by_baseline = evaluate_baselines(train, questions, items, log)
    return {
        **bundle_metrics,
        "model": f"{bundle.name} {bundle.version}",
        "baselines": {name: percent(metrics) for name, metrics in by_baseline.items()},
        "lists": lists_alike(bundle, rows[:, :20]),
        **_all_slices(all_examples, train, questions, items, rank),
        "state_age": state_age_curve(served, questions),
        **clicks_of_bundle(served, questions, fresh_features, later),
        "protocol": {
            "set": events_file.name,
            "split": f"time, test from {test_start_ms}",
            "ranking": f"all {items} items of the bundle, ties count against the model",
            "questions": len(questions),
            "steps_seen_by_the_model": bundle.window,
            "steps_seen_by_the_baselines": HISTORY,
        },
    }


def lists_alike(bundle: ModelBundle, rows: npt.NDArray[np.int32], sample: int = 2000) -> dict[str, float]:
    """Of top-20 lists [B, 20]: share of all items on a list, mean intra-list diversity and novelty (`SlateMeter`)."""
    unpopular = popularity_places(bundle.popular, len(bundle.vocabulary))
    meter = SlateMeter(unit_rows(bundle.vectors), unpopular)
    no_items = np.zeros(0, dtype=np.int32)
    categories = np.zeros(len(bundle.vocabulary) + 1, dtype=np.int32)
    slates = [meter.measure(row, no_items, categories) for row in rows[:sample]]
    return {
        "coverage": round(float((np.unique(rows) > 0).sum()) / len(bundle.vocabulary), 4),
        "diversity": round(float(np.mean([slate.diversity for slate in slates])), 4),
        "novelty": round(float(np.mean([slate.novelty for slate in slates])), 4),
    }


def _all_slices(
    all_examples: Examples, train: Examples, questions: Examples, items: int, rank: npt.NDArray[np.int64]
) -> dict[str, dict[str, dict[str, float]]]:
    """Metrics by length of history, by age of the target, and by its number of training events."""
    first_seen_ms = np.full(items + 1, np.iinfo(np.int64).max)
    np.minimum.at(first_seen_ms, all_examples.target, all_examples.time_ms)
    age_days = (questions.time_ms - first_seen_ms[questions.target]) // DAY_MS
    support = np.bincount(train.target, minlength=items + 1)[questions.target]
    return {
        "by_history_length": _slices(questions.features.length, LENGTHS, rank),
        "by_item_age": _slices(age_days, ITEM_AGES, rank),
        "by_item_support": _slices(support, SUPPORT, rank),
    }


def _slices(
    values: npt.NDArray[Any], bounds: dict[str, tuple[int, int]], rank: npt.NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """Slice -> metrics in % and the number of questions in it; empty slices are left out."""
    slices = {}
    for name, (low, high) in bounds.items():
        mask = (values >= low) & (values < high)
        if mask.any():
            slices[name] = percent(summary(rank[mask])) | {"questions": int(mask.sum())}
    return slices
