"""`liveshelf train`: events -> examples -> model -> evaluation beside the baselines -> bundle."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from model_export.baselines import Markov, Popularity, Recommender, VmisKnn
from model_export.data_tests import check_training_data
from model_export.dataset import Examples, examples, read_events, vocabulary
from model_export.export import export_bundle
from model_export.fit import FitOptions, Report, evaluate, fit, unreported
from model_export.metrics import ranks, summary
from operators.catalogue import decode_item
from operators.contracts import Event
from operators.errors import EventsFileError
from operators.features import Vocabulary
from operators.settings import EventSettings

Log = Callable[[str], None]
QUESTIONS = 10_000  # of the test window, drawn with a fixed seed: VMIS-kNN takes a millisecond for each
MIN_EXAMPLES = 200


@dataclass(frozen=True)
class TrainOptions:
    """How the events are split and the model is trained."""

    name: str = "small-gru"
    test_share: float = 0.1
    test_from: int | None = None
    min_count: int = 3
    epochs: int = 12
    width: int = 128
    dropout: float = 0.2
    seed: int = 7


def train(
    events_file: Path,
    catalogue_file: Path | None,
    out: Path,
    options: TrainOptions,
    log: Log,
    report: Report = unreported,
    lineage: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Trains on what comes before the test window, tests on the window, writes the bundle; returns its manifest.

    The validation window lies just before the test window. After early stopping the model is trained anew for
    as many epochs on both, so that the bundle knows the newest events before the test. `lineage` goes into the manifest.
    Raises `EventsFileError` where the data fails its tests (`data_tests`).
    """
    events = sorted(read_events(events_file), key=lambda event: int(event.event_time))
    if not events:
        raise EventsFileError("events", f"an empty file {events_file}", "export events first")
    check_training_data(events, events_file.name)
    test_from = options.test_from or int(events[int(len(events) * (1 - options.test_share))].event_time)
    words = _words(events, catalogue_file, test_from, options.min_count)
    everything = examples(events, words, EventSettings().session_gap_minutes * 60_000)
    known = everything.where(everything.time_ms < test_from)
    test = _asked(everything.where(everything.time_ms >= test_from), options.seed)
    if len(known) < MIN_EXAMPLES or not len(test):
        raise EventsFileError(
            f"{MIN_EXAMPLES} item events before the test window and some in it",
            f"{len(known)} and {len(test)}",
            "give more events, or another --test-share",
        )
    log(f"{len(events)} events, {len(words)} items, {len(known)} examples to learn from, {len(test)} to test on")
    report("items", len(words))
    report("examples", len(known))
    fitted_epochs, validation = _epochs(known, len(words), options, log, report)
    log(f"training anew on all before the test window, {fitted_epochs} epochs")
    model = fit(known, None, len(words), _fit_options(options, fitted_epochs), log, report).model
    found = {"small GRU": evaluate(model, test)} | _baselines(known, test, len(words))
    best = max(found, key=lambda name: found[name]["NDCG@20"])
    facts = {
        "name": options.name,
        "trained_on": {"events": events_file.name, "from_ms": int(known.time_ms.min()), "to_ms": test_from},
        "lineage": lineage or {},
        "settings": {"width": options.width, "dropout": options.dropout, "epochs": fitted_epochs, "seed": options.seed},
        "metrics": {
            "split": f"time, test from {test_from}",
            "questions": len(test),
            "validation": validation,
            "test": found,
            "best": best,
        },
    }
    return export_bundle(model, words, known, test, out, facts)


def _words(events: list[Event], catalogue_file: Path | None, test_from: int, min_count: int) -> Vocabulary:
    before = takewhile(lambda event: int(event.event_time) < test_from, events)
    words = vocabulary(before, min_count)
    if catalogue_file is None:
        return words
    with catalogue_file.open("rb") as lines:
        sold = {item.item_id for item in map(decode_item, lines) if item is not None}
    return Vocabulary([item for item in words.item_ids if item in sold])


def _asked(test: Examples, seed: int) -> Examples:
    """Questions with at least one known item in the history, at most `QUESTIONS`."""
    warm = np.flatnonzero(test.features.length > 0)
    if len(warm) > QUESTIONS:
        warm = np.random.default_rng(seed).choice(warm, QUESTIONS, replace=False)
    mask = np.zeros(len(test), dtype=bool)
    mask[warm] = True
    return test.where(mask)


def _epochs(
    known: Examples, items: int, options: TrainOptions, log: Log, report: Report
) -> tuple[int, dict[str, float]]:
    split = np.quantile(known.time_ms, 0.94)
    valid = _asked(known.where(known.time_ms >= split), options.seed)
    before = known.where(known.time_ms < split)
    fitted = fit(before, valid, items, _fit_options(options, options.epochs), log, report)
    return fitted.epochs, fitted.validation


def _fit_options(options: TrainOptions, epochs: int) -> FitOptions:
    return FitOptions(width=options.width, dropout=options.dropout, epochs=epochs, seed=options.seed)


def _baselines(known: Examples, test: Examples, items: int) -> dict[str, dict[str, float]]:
    rivals: dict[str, Recommender] = {
        "popularity (7 days)": Popularity(known, items),
        "Markov": Markov(known, items),
        "VMIS-kNN": VmisKnn(known, items),
    }
    return {name: summary(_ranks(rival, test)) for name, rival in rivals.items()}


def _ranks(rival: Recommender, test: Examples, batch: int = 1024) -> np.ndarray:
    parts = []
    for begin in range(0, len(test), batch):
        part = test.where(np.arange(len(test)) // batch == begin // batch)
        parts.append(ranks(rival.scores(part), part.target))
    return np.concatenate(parts)
