"""`liveshelf models`: the models that serve, and those that want to."""

import typer

from liveshelf.models import gate

app = typer.Typer(no_args_is_help=True)
app.command("gate")(gate.run)
