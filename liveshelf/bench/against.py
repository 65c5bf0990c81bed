"""`liveshelf bench against`: compares two commits."""

from pathlib import Path
from typing import Any

import typer

from liveshelf.bench.result import KeepOption, report_result
from liveshelf.terminal.numbers import real
from liveshelf.terminal.output import JsonFlag, people


def against(
    revision: str = typer.Argument(help="A commit, branch or tag."),
    rounds: int = typer.Option(4, min=1, help="Turns of each side."),
    events: int = typer.Option(100_000, min=1, help="Events in the backlog."),
    users: int = typer.Option(8_000, min=1, help="Users in the backlog, in turn."),
    rate: float = real(500, "Events/s while freshness is measured.", min=1),
    seconds: float = real(30, "Measured time of freshness.", min=1),
    warm_up: float = real(30, "Seconds of load before freshness is measured.", min=0),
    tolerated: float = real(0.03, "The share by which this side may be worse.", min=0, max=1),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Measures throughput and freshness of this checkout and of REVISION in turns, each on its own stack. Nothing else may run.

    Exit 1 if this checkout is worse, or if a figure was not measured.
    Example: liveshelf bench against HEAD~1 --rounds 3
    """
    from benchmarks.running_stack.against import measure

    throughput_options = ["--events", str(events), "--users", str(users)]
    freshness_options = ["--rate", str(rate), "--seconds", str(seconds), "--warm-up", str(warm_up)]

    def on_turn(number: int, name: str, figures: dict[str, Any]) -> None:
        people.print(f"round {number} of {rounds}, {name}: {figures}", markup=False)

    result = measure(revision, rounds, throughput_options, freshness_options, tolerated, on_turn)
    report_result(result, keep, json)
    raise typer.Exit(int(any(row["worse"] for row in result["figures"])))
