"""`liveshelf topics create`: all topics with their policies."""

import typer

from liveshelf.terminal.output import JsonFlag, machine, table
from operators.settings import load_settings

app = typer.Typer(no_args_is_help=True)


@app.command()
def create(
    alter: bool = typer.Option(False, help="Change the settings of existing topics to the required ones."),
    json: bool = JsonFlag,
) -> None:
    """Creates missing topics and reports which settings of existing ones differ. Exit 1 when something differs.

    Example: liveshelf topics create --alter
    """
    from pipelines.topics.topic_admin import ensure_topics

    states = ensure_topics(load_settings().kafka, alter=alter)
    if json:
        machine([{"name": t.name, "created": t.created, "differs": t.differs} for t in states])
    else:
        rows = [(t.name, "made" if t.created else "is there", _text(t.differs)) for t in states]
        table("", ("topic", "", "differs (wanted, found)"), rows)
    raise typer.Exit(1 if any(t.differs for t in states) else 0)


@app.command()
def show() -> None:
    """Shows the required key and settings of each topic.

    Example: liveshelf topics show
    """
    from operators.records.topic_specs import TOPICS

    table("", ("topic", "key", "settings"), [(t.name, t.key, _text(t.config)) for t in TOPICS])


def _text(settings: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items()) or "-"
