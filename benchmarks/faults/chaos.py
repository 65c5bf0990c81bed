"""A random schedule of faults from a seed: the same seed gives the same faults at the same times."""

import random

from benchmarks.faults.fault import Fault

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
FIRST_S, REST_S = 15.0, 60.0  # quiet at the beginning, and at the end, so that all can come to rest
GAP_S = (20.0, 60.0)


def schedule(seed: int, minutes: float) -> list[Fault]:
    """Faults of all kinds, 20 to 60 s apart; several may meet before the system has come to rest."""
    chance, at, faults = random.Random(seed), FIRST_S, []
    while at < minutes * 60 - REST_S:
        what, target, shortest, longest = chance.choice(KINDS)
        lasts = round(chance.uniform(shortest, longest), 1)
        faults.append(Fault(what, target, at_s=round(at, 1), for_s=lasts))
        at += lasts + chance.uniform(*GAP_S)
    return faults
