"""A random schedule of faults through the verb, as a user runs it."""

import json
import os
from pathlib import Path

import pytest

from benchmarks.faults.chaos import schedule
from benchmarks.faults.verdict import Verdict
from tests.faults.conftest import record
from tests.running_stack import Stack

MINUTES = float(os.environ.get("CHAOS_MINUTES", "15"))
SEED = int(os.environ.get("CHAOS_SEED", "20261124"))


def test_the_same_seed_gives_the_same_faults() -> None:
    assert schedule(3, 15) == schedule(3, 15) != schedule(4, 15)
    assert {fault.kind for seed in range(20) for fault in schedule(seed, 15)} == {
        "kill",
        "pause",
        "segfault",
        "restart",
    }


@pytest.mark.manual
def test_a_random_schedule(stack: Stack, job: str, demo_bundle: Path) -> None:
    done = stack.liveshelf(
        "chaos", "--seed", str(SEED), "--minutes", str(MINUTES), "--rate", "300", "--json", seconds=3000
    )
    row = json.loads(done.stdout)
    record(row)
    assert row["verdict"] == Verdict.KEPT, row
