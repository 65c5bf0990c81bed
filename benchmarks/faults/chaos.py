"""A random schedule of faults from a seed: the same seed gives the same faults at the same times."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults.fault import Fault, Injector
from benchmarks.faults.trial import Plan, run_trial
from benchmarks.faults.verdict import Row
from benchmarks.measuring.conditions import ServedBundle
from deploy.local.layout import Layout
from operators.errors import ClusterError, SettingsError
from operators.model.model_bundle import ModelBundle
from operators.settings import Settings
from pipelines.submission.cluster import Cluster

KINDS = (
    ("kill", "taskmanager", 0, 0),
    ("pause", "taskmanager", 2, 20),
    ("segfault", "taskmanager", 0, 0),
    ("kill", "scorer", 0, 0),
    ("pause", "scorer", 2, 20),
    ("kill", "jobmanager", 0, 0),
    ("kill", "kafka", 0, 0),
    ("restart", "kafka", 0, 0),
    ("pause", "kafka", 2, 20),
    ("kill", "zookeeper", 0, 0),
    ("kill", "storefront", 0, 0),
)
FIRST_S, REST_S = 15.0, 60.0  # without faults at the start, and at the end, so that the system recovers
GAP_S = (20.0, 60.0)
ITEMS = 500  # of the bundle, in the load's events


def schedule(seed: int, minutes: float) -> list[Fault]:
    """Random faults, 20 to 60 s apart; the next may strike before the system has recovered."""
    rng, at_s, faults = random.Random(seed), FIRST_S, []
    while at_s < minutes * 60 - REST_S:
        kind, target, shortest, longest = rng.choice(KINDS)
        lasts = round(rng.uniform(shortest, longest), 1)
        faults.append(Fault(kind, target, at_s=round(at_s, 1), for_s=lasts))
        at_s += lasts + rng.uniform(*GAP_S)
    return faults


def served_bundle(settings: Settings) -> Path:
    """The folder of the bundle that the running job serves.

    Raises `SettingsError` without `job.state_digests`, `ClusterError` if no job runs or it serves another bundle.
    """
    if not settings.job.state_digests:
        raise SettingsError(
            "job.state_digests = true, in the running job too",
            "false",
            "set it, `liveshelf stop`, `liveshelf resume`: without it states cannot be compared",
        )
    if not Cluster(settings.job).jobs(settings.job.name):
        raise ClusterError(f"a running job named {settings.job.name}", "none", "liveshelf submit, or resume")
    bundle = settings.resolve(settings.bundle.path)
    if violations := ServedBundle(Layout.of(settings).targets, ModelBundle.load(bundle)).find_violations():
        raise ClusterError(f"a job that serves {bundle}", violations[0], "set bundle.path, or liveshelf resume")
    return bundle


def run_chaos(
    settings: Settings, bundle: Path, faults: Sequence[Fault], *, seed: int, minutes: float, rate: float
) -> Row:
    """Runs `faults` under a load of `rate` events/s and judges the trial."""
    items = json.loads((bundle / "items.json").read_text())[:ITEMS]
    plan = Plan(f"chaos {minutes:.0f} min", faults, rate=rate, seconds=minutes * 60, seed=seed)
    return run_trial(settings, plan, Injector(settings), bundle, items)
