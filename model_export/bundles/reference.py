"""`reference.json` of a bundle: histograms of the training window; the drift meter compares live data with them.

`python -m model_export.bundles.reference BUNDLE EVENTS.jsonl` adds it to a bundle without one.
"""

import json
import sys
from pathlib import Path

import numpy as np

from model_export.bundles.bundle_folder import add_file
from model_export.data.dataset import Examples, examples, read_events
from model_export.data.learnable import learnable
from operators.model.model_bundle import ModelBundle
from operators.model.reference import FILE, Bins, dump_reference
from operators.model.scorer import Scorer
from operators.quality.drift import EDGES, observed, popularity_places
from operators.settings import ScorerSettings

SAMPLE = 20_000
BATCH = 512


def add_reference(folder: Path, train: Examples, seed: int = 7) -> None:
    """Writes `reference.json` into the bundle in `folder` and adds it to the manifest, which is replaced by rename."""
    bundle = ModelBundle.load(folder)
    warm = np.flatnonzero(train.features.length > 0)
    sample_rows = np.sort(np.random.default_rng(seed).permutation(warm)[:SAMPLE])
    sample = train.features.where(sample_rows)
    scorer = Scorer(bundle, ScorerSettings(provider="cpu"))
    tops = [
        scorer.score(sample.where(np.arange(start, min(start + BATCH, len(sample_rows)))))[0][:, 0]
        for start in range(0, len(sample_rows), BATCH)
    ]
    values = observed(sample, np.concatenate(tops), popularity_places(bundle.popular, len(bundle.vocabulary)))
    reference = {name: Bins.fit(observations, EDGES.get(name)) for name, observations in values.items()}
    (folder / FILE).write_text(json.dumps(dump_reference(reference), indent=1) + "\n")
    add_file(folder, FILE, {})


def main(folder: Path, events_file: Path) -> None:
    """Adds a reference from the events before the bundle's test window."""
    bundle = ModelBundle.load(folder)
    until = int(bundle.manifest["trained_on"]["to_ms"])
    events, _ = learnable(read_events(events_file))
    before = [event for event in events if int(event.event_time) < until]
    add_reference(folder, examples(before, bundle.vocabulary, window=bundle.window, hop=bundle.hop))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
