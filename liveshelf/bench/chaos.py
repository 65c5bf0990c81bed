"""`liveshelf chaos`: random faults on the local stack while load runs, and a verdict."""

import typer

from liveshelf.terminal.numbers import ABOVE_0, real
from liveshelf.terminal.output import JsonFlag, machine, pairs, people, table
from operators.settings import load_settings


def run(
    seed: int = typer.Option(7, help="The same seed gives the same faults.", min=0),
    minutes: float = real(5.0, "How long the load runs.", min=2),
    rate: float = real(300.0, "Events a second.", min=ABOVE_0),
    json: bool = JsonFlag,
) -> None:
    """Kills, pauses and restarts parts of the local stack under load and compares every user with an oracle.

    The job must run with job.state_digests = true. Exit 1 if something was lost, counted twice or ended wrong, or if
    that is unknown: a topic was not read to its end, or there is no evidence that a fault struck.

    Example: LIVESHELF_JOB__STATE_DIGESTS=true liveshelf chaos --seed 42 --minutes 15
    """
    from benchmarks.faults.chaos import run_chaos, schedule, served_bundle
    from benchmarks.faults.verdict import Verdict, as_dict

    settings = load_settings()
    bundle, faults = served_bundle(settings), schedule(seed, minutes)
    rows = [(f"{f.at_s:.0f}", f.kind, f.target, f"{f.for_s:.0f}" if f.for_s else "") for f in faults]
    table(f"seed {seed}", ("at s", "what", "target", "for s"), rows)
    with people.status("faults and load"):
        row = run_chaos(settings, bundle, faults, seed=seed, minutes=minutes, rate=rate)
    if json:
        machine(as_dict(row))
    else:
        pairs({name: value for name, value in as_dict(row).items() if name != "seconds_p95"})
    raise typer.Exit(int(row.verdict is not Verdict.KEPT))
