"""`liveshelf dead-letters`: what was refused, and why."""

import typer

from operators.settings import load_settings
from pipelines.cli.numbers import MOST_SHOWN
from pipelines.cli.output import JsonFlag, machine, people, table

app = typer.Typer(no_args_is_help=True)
SHOWN = ("topic", "partition", "offset", "exception.message")


@app.command("list")
def list_letters(
    last: int = typer.Option(20, help="So many, newest last.", min=1, max=MOST_SHOWN), json: bool = JsonFlag
) -> None:
    """Counts dead letters by reason and shows the newest.

    Example: liveshelf dead-letters list --last 5
    """
    from pipelines.dead_letters import read_dead_letters

    found = read_dead_letters(load_settings().kafka, last)
    if json:
        machine({"count": found.count, "reasons": found.reasons, "newest": found.newest})
        return
    table("by reason", ("reason", "count"), found.reasons.most_common())
    rows = [[headers.get(name, "-") for name in SHOWN] for headers in found.newest]
    table("newest", ("topic", "partition", "offset", "what"), rows)
    people.print(f"{found.count} dead letters")
