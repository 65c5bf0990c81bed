"""`liveshelf audit`: who changed what, and whether the log is whole."""

from datetime import UTC, datetime

import typer

from liveshelf.terminal.numbers import MAX_SHOWN
from liveshelf.terminal.output import JsonFlag, machine, people, table
from operators.errors import LiveshelfError
from operators.settings import load_settings

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_acts(
    last: int = typer.Option(20, help="Number of acts, newest last.", min=1, max=MAX_SHOWN), json: bool = JsonFlag
) -> None:
    """Shows the newest acts: submit, stop, resume, backup, restore, erase, dead-letters replay, experiments start and stop.

    Example: liveshelf audit list --last 5
    """
    import msgspec

    from pipelines.provenance.audit_log import read_log

    log = read_log(load_settings().kafka)[-last:]
    if json:
        machine([msgspec.to_builtins(act) for act in log])
        return
    rows = [
        (
            datetime.fromtimestamp(act.at / 1000, UTC).isoformat(timespec="seconds"),
            act.who,
            act.verb,
            ", ".join(f"{name}={value}" for name, value in act.what.items()),
        )
        for act in log
    ]
    table("", ("when", "who", "verb", "what"), rows)


@app.command()
def verify(json: bool = JsonFlag) -> None:
    """Checks the chain of hashes from the first record to the last. Exit 1 at the first record that does not fit.

    Example: liveshelf audit verify
    """
    from pipelines.provenance.audit_chain import GENESIS, first_break
    from pipelines.provenance.audit_log import read_log

    log = read_log(load_settings().kafka)
    chain_break, newest = first_break(log), log[-1].hash if log else GENESIS
    if json:
        machine({"records": len(log), "newest": newest, "broken_at": chain_break[0] if chain_break else None})
    if chain_break:
        raise LiveshelfError(
            "each record to follow from the one before",
            f"record {chain_break[0]}: {chain_break[1]}",
            f"liveshelf audit list --last {len(log) - chain_break[0]}: look at it, and at who can write to the topic",
        )
    people.print(f"{len(log)} records, whole; the newest is {newest}: keep that elsewhere to see a cut")
