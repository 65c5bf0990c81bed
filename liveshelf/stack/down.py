"""`liveshelf down`: stops the local stack."""

import typer

from liveshelf.terminal.output import people
from operators.settings import load_settings


def run(purge: bool = typer.Option(False, "--purge", help="Remove the data folder too.")) -> None:
    """Stops every process of the local stack.

    Example: liveshelf down --purge
    """
    from deploy.local.stack import stop_stack

    with people.status("stopping"):
        stop_stack(load_settings(), purge=purge)
    people.print("down, data removed" if purge else "down")
