"""`trial`: load, faults, verdict, and a line in the report."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults.fault import Fault
from benchmarks.faults.trial import Plan, run_trial
from benchmarks.faults.verdict import Row, Verdict, as_dict
from operators.settings import load_settings
from tests.running_stack import ROOT, Stack

RECOVERY_LIMIT_S = 60.0  # after the fault has ended; the aim for a TaskManager is 20 s, CI's machines are shared
# `make faults` sets 500; a machine that CI shares may not recover from 20 s of silence at that rate
RATE = float(os.environ.get("FAULTS_RATE", "150"))
REPORT = Path(os.environ.get("FAULTS_REPORT", ROOT / ".liveshelf-faults" / "rows.jsonl"))
Trial = Callable[..., Row]


@pytest.fixture
def trial(stack: Stack, demo_bundle: Path) -> Trial:
    """Runs a plan on the job that serves the demo's bundle with `variables`, records the row, and checks what every
    fault must keep: nothing lost, nothing twice, states and scores as offline, dead letters exact, fresh again in time;
    and that it is known, with something that shows that each fault struck.
    """
    items = json.loads((demo_bundle / "items.json").read_text())[:500]

    def run(
        name: str,
        *faults: Fault,
        variables: dict[str, str] | None = None,
        restarts: bool = True,
        sabotaged: bool = False,
        **plan: Any,
    ) -> Row:
        stack.liveshelf("tidy", "--older-than", "60", "--earlier-jobs")  # the checkpoints' disk is a small one
        if not sabotaged:
            stack.serve(demo_bundle, variables)
        with pytest.MonkeyPatch.context() as patch:
            for key, value in (variables or {}).items():
                if key.startswith("LIVESHELF_JOB__"):
                    patch.setenv(key, value)
            settings = load_settings()
        row = run_trial(settings, Plan(name, faults, **{"rate": RATE, **plan}), stack.injector, demo_bundle, items)
        record(row)
        assert row.verdict is Verdict.KEPT, as_dict(row)
        if row.recovery_s is not None:
            lasted = max(faults, key=lambda fault: fault.at_s).for_s if faults else 0.0
            assert row.recovery_s < lasted + RECOVERY_LIMIT_S, as_dict(row)
        if not restarts:
            assert row.restarts == 0, as_dict(row)
        return row

    return run


@pytest.fixture
def soak_minutes() -> float:
    """How long a soak lasts: SOAK_MINUTES, 40 by default."""
    return float(os.environ.get("SOAK_MINUTES", "40"))


def record(row: Row | dict[str, Any]) -> None:
    """A line of the report."""
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(as_dict(row) if isinstance(row, Row) else row)
    with REPORT.open("a") as file:
        file.write(line + "\n")
    print(line)
