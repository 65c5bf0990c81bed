"""`liveshelf bench against`: two commits beside each other."""

from pathlib import Path
from typing import Any

import typer

from liveshelf.bench.result import KeepOption, tell
from liveshelf.terminal.output import JsonFlag, people


def against(
    revision: str = typer.Argument(help="A commit, branch or tag."),
    rounds: int = typer.Option(4, min=1, help="Turns of each side."),
    events: int = typer.Option(100_000, min=1, help="Of the backlog."),
    users: int = typer.Option(8_000, min=1, help="In the backlog, in turn."),
    rate: float = typer.Option(500, min=1, help="Events/s while freshness is measured."),
    seconds: float = typer.Option(30, min=1, help="Of it."),
    warm_up: float = typer.Option(30, min=0, help="Seconds of load before."),
    tolerated: float = typer.Option(0.03, min=0, max=1, help="How much worse, as a share, this side may be."),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """This checkout and REVISION in turns, a stack each: throughput and freshness. Nothing else may run.

    Exit 1 where this one is worse, or nobody knows.
    Example: liveshelf bench against HEAD~1 --rounds 3
    """
    from benchmarks.running_stack.against import measure

    drain = ["--events", str(events), "--users", str(users)]
    fresh = ["--rate", str(rate), "--seconds", str(seconds), "--warm-up", str(warm_up)]

    def on_turn(number: int, name: str, figures: dict[str, Any]) -> None:
        people.print(f"round {number} of {rounds}, {name}: {figures}", markup=False)

    result = measure(revision, rounds, drain, fresh, tolerated, on_turn)
    tell(result, keep, json)
    raise typer.Exit(int(any(row["worse"] for row in result["figures"])))
