"""`liveshelf dead-letters`: what was refused, and why."""

from collections import Counter

import typer

from operators.contracts import DEAD_LETTERS, HEADER_PREFIX
from operators.settings import load_settings
from pipelines.cli.output import JsonFlag, machine, people, table

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_letters(last: int = typer.Option(20, help="So many, newest last."), json: bool = JsonFlag) -> None:
    """Counts dead letters by reason and shows the newest.

    Example: liveshelf dead-letters list --last 5
    """
    from pipelines.topic_stretch import stretch

    found = sorted(stretch(load_settings().kafka, DEAD_LETTERS, None), key=lambda record: record.timestamp)
    letters = [{n.removeprefix(HEADER_PREFIX): v.decode() for n, v in record.headers} for record in found]
    counts = Counter(letter["exception.class.name"] for letter in letters)
    if json:
        machine({"count": len(letters), "reasons": counts, "newest": letters[-last:]})
        return
    table("by reason", ("reason", "count"), counts.most_common())
    rows = [(m["topic"], m["partition"], m["offset"], m["exception.message"]) for m in letters[-last:]]
    table("newest", ("topic", "partition", "offset", "what"), rows)
    people.print(f"{len(letters)} dead letters")
