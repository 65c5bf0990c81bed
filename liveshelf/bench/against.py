"""`liveshelf bench against`: two commits beside each other."""

from pathlib import Path
from typing import Any

import typer

from liveshelf.bench.result import KeepOption, tell
from liveshelf.terminal.numbers import real
from liveshelf.terminal.output import JsonFlag, people


def against(
    revision: str = typer.Argument(help="A commit, branch or tag."),
    rounds: int = typer.Option(4, min=1, help="Turns of each side."),
    events: int = typer.Option(100_000, min=1, help="Of the backlog."),
    users: int = typer.Option(8_000, min=1, help="In the backlog, in turn."),
    rate: float = real(500, "Events/s while freshness is measured.", min=1),
    seconds: float = real(30, "Of it.", min=1),
    warm_up: float = real(30, "Seconds of load before.", min=0),
    tolerated: float = real(0.03, "How much worse, as a share, this side may be.", min=0, max=1),
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
