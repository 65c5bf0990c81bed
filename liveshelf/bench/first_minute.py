"""`liveshelf bench first-minute`."""

from pathlib import Path

import typer

from liveshelf.bench.result import BundleOption, KeepOption, report_result
from liveshelf.terminal.numbers import ABOVE_0, real
from liveshelf.terminal.output import JsonFlag, people


def first_minute(
    rate: float = real(500, "Events a second.", min=ABOVE_0),
    seconds: float = real(90, "Time of the load.", min=ABOVE_0),
    spell: int = typer.Option(5, help="Seconds of a row.", min=1),
    users: int = typer.Option(20_000, help="Users in the load.", min=1),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Restarts the TaskManagers and the job, and measures freshness from the first event on.

    Example: liveshelf bench first-minute --rate 500
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.first_minute import measure

    bench = StackUnderTest(bundle)
    bench.need_cluster()
    with people.status(f"new TaskManagers and {seconds:.0f} s of load"):
        result = measure(bench, rate, seconds, spell, users)
    report_result(result | bench.bundle_entry, keep, json)
