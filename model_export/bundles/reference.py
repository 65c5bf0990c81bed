"""`reference.json` of a bundle: histograms of the training window, with which the drift meter compares live data.

`python -m model_export.bundles.reference BUNDLE EVENTS.jsonl` adds it to a bundle without one.
"""

import json
import sys
from pathlib import Path

import numpy as np

from model_export.data.dataset import Examples, examples, read_events
from model_export.data.learnable import learnable
from operators.model.bundle_files import MANIFEST, file_hash, read_manifest
from operators.model.model_bundle import ModelBundle
from operators.model.reference import FILE, Bins, dump_reference
from operators.model.scorer import Scorer
from operators.quality.drift import EDGES, observed, popularity_places
from operators.settings import ScorerSettings

SAMPLE = 20_000
BATCH = 512


def add_reference(folder: Path, train: Examples, seed: int = 7) -> None:
    """Writes `reference.json` of the bundle in `folder` and names it in the manifest, which appears by rename."""
    bundle = ModelBundle.load(folder)
    warm = np.flatnonzero(train.features.length > 0)
    drawn = np.sort(np.random.default_rng(seed).permutation(warm)[:SAMPLE])
    sample = train.features.where(drawn)
    scorer = Scorer(bundle, ScorerSettings(provider="cpu"))
    tops = [
        scorer.score(sample.where(np.arange(begin, min(begin + BATCH, len(drawn)))))[0][:, 0]
        for begin in range(0, len(drawn), BATCH)
    ]
    values = observed(sample, np.concatenate(tops), popularity_places(bundle.popular, len(bundle.vocabulary)))
    reference = {name: Bins.fit(observations, EDGES.get(name)) for name, observations in values.items()}
    (folder / FILE).write_text(json.dumps(dump_reference(reference), indent=1) + "\n")
    manifest = read_manifest(folder)
    manifest["files"][FILE] = file_hash(folder / FILE)
    aside = folder / ".manifest.part"
    aside.write_text(json.dumps(manifest, indent=2) + "\n")
    aside.rename(folder / MANIFEST)


def main(folder: Path, events_file: Path) -> None:
    """Adds the reference of the events before the bundle's test window."""
    bundle = ModelBundle.load(folder)
    until = int(bundle.manifest["trained_on"]["to_ms"])
    events, _ = learnable(read_events(events_file))
    before = [event for event in events if int(event.event_time) < until]
    add_reference(folder, examples(before, bundle.vocabulary, window=bundle.window))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
