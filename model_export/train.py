"""`liveshelf train`: a split -> model -> evaluation beside the baselines -> bundle."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from model_export.export import export_bundle
from model_export.fit import FitOptions, Report, evaluate, fit, unreported
from model_export.rivals import judged
from model_export.sizes import SIZES
from model_export.splits import Split, of_events, of_sessions, validation
from model_export.training_checkpoint import TrainingCheckpoint

Log = Callable[[str], None]


@dataclass(frozen=True)
class TrainOptions:
    """How the events are split and the model is trained; `fit` None: as its size says (`sizes.SIZES`).

    `epochs` None: found on a validation window before the test; else exactly so many, without that first training.
    """

    name: str = "small"
    size: str = "small"
    test_share: float = 0.1
    test_from: int | None = None
    min_count: int = 3
    epochs: int | None = None
    seed: int = 7
    fit: FitOptions | None = None

    def fitting(self) -> FitOptions:
        """The hyper-parameters."""
        return replace(self.fit or SIZES[self.size], seed=self.seed)


def train(
    events_file: Path,
    catalogue_file: Path | None,
    out: Path,
    options: TrainOptions,
    log: Log,
    report: Report = unreported,
    lineage: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Trains on canonical events before the test window, tests on the window; returns the bundle's manifest.

    `lineage` goes into the manifest. Raises `EventsFileError` where the data fails its tests (`data_tests`).
    """
    split = of_events(
        events_file,
        catalogue_file,
        test_share=options.test_share,
        test_from=options.test_from,
        min_count=options.min_count,
        seed=options.seed,
        window=options.fitting().window,
    )
    return train_split(split, out, options, log, report, lineage)


def train_sessions(
    folder: Path,
    out: Path,
    options: TrainOptions,
    log: Log,
    report: Report = unreported,
    lineage: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """As `train`, on a folder of sessions with its own test."""
    return train_split(of_sessions(folder, options.fitting().window), out, options, log, report, lineage)


def train_split(
    split: Split, out: Path, options: TrainOptions, log: Log, report: Report, lineage: dict[str, Any] | None
) -> dict[str, Any]:
    """Finds the number of epochs on the window before the test, trains anew on all that is known, exports.

    Trained anew because the newest events before the test are those that the bundle must know best. A training that
    was killed goes on after its last whole epoch when it is started again.
    """
    items, fitting, begun = len(split.words), options.fitting(), time.monotonic()
    for file, counts in split.cleaning.items():
        log(f"{file}: " + ", ".join(f"{reason} {count}" for reason, count in counts.items()))
    log(f"{items} items, {len(split.known)} examples to learn from, {len(split.test)} to test on")
    report("items", items)
    report("examples", len(split.known))
    kept = [TrainingCheckpoint(out.with_name(f".{out.name}.{part}.checkpoint"), log) for part in ("search", "final")]
    epochs, validated = options.epochs, dict[str, float]()
    if epochs is None:
        before, asked = validation(split, options.seed)
        found = fit(before, asked, items, fitting, log, report, kept[0])
        epochs, validated = found.epochs, found.validation
        log(f"training anew on all before the test, {epochs} epochs")
    model = fit(split.known, None, items, replace(fitting, epochs=epochs), log, report, kept[1]).model
    seconds = time.monotonic() - begun
    log(f"trained in {seconds:.0f} s; testing beside the baselines")
    ours = f"{options.size} ({fitting.encoder}, width {fitting.width})"
    tested = {ours: evaluate(model, split.test)} | judged(split.known, split.test, items, timed=split.timed)
    facts = {
        "name": options.name,
        "trained_on": split.trained_on,
        "cleaning": split.cleaning,
        "lineage": lineage or {},
        "settings": asdict(fitting) | {"size": options.size, "epochs": epochs, "seconds": round(seconds)},
        "metrics": {
            "split": split.protocol,
            "questions": len(split.test),
            "validation": validated,
            "test": tested,
            "best": max(tested, key=lambda name: tested[name]["NDCG@20"]),
        },
    }
    manifest = export_bundle(model, split.words, split.known, split.test, out, facts)
    for checkpoint in kept:
        checkpoint.remove()
    return manifest
