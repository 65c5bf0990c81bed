"""The application: all verbs, and errors as one line with what to do next."""

import logging
import os
import sys
import traceback

import typer

from liveshelf.bench import bench, chaos
from liveshelf.data import audit, dead_letters, events, import_events, profile, replay, topics, validate
from liveshelf.job import backup, restore, resume, stop, submit, tidy
from liveshelf.models import bundle, evaluate, experiments, export, rollout, train, tune
from liveshelf.search import search
from liveshelf.shopper import erase, lists
from liveshelf.stack import demo, doctor, down, logs, status, up
from liveshelf.terminal.foreign_errors import as_liveshelf_error
from liveshelf.terminal.output import LogToPeople, notice
from operators.configuration.loopback import keep_loopback_direct

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Streaming recommendations: Kafka, PyFlink, ONNX.",
)
for verb in (
    up,
    down,
    status,
    logs,
    doctor,
    submit,
    stop,
    resume,
    tidy,
    backup,
    restore,
    replay,
    lists,
    events,
    validate,
    profile,
    train,
    tune,
    evaluate,
    export,
    erase,
    chaos,
    demo,
):
    app.command(verb.__name__.rsplit(".", 1)[1])(verb.run)
app.command("import")(import_events.run)
app.add_typer(topics.app, name="topics", help="The topics.")
app.add_typer(bundle.app, name="bundle", help="Model bundles.")
app.add_typer(rollout.app, name="models", help="Which bundles make lists.")
app.add_typer(search.app, name="search", help="The search of a catalogue.")
app.add_typer(experiments.app, name="experiments", help="Experiments on lists.")
app.add_typer(audit.app, name="audit", help="Who changed what.")
app.add_typer(bench.app, name="bench", help="Measures the stack, or a part of it alone.")
app.add_typer(dead_letters.app, name="dead-letters", help="Records that were refused.")


def main() -> None:
    """Exit 0 ok, 1 failed, 2 usage."""
    os.umask(0o077)  # a verb writes events, lists and backups for its own user only
    keep_loopback_direct(os.environ)
    logging.basicConfig(level=logging.WARNING, handlers=[LogToPeople()], format="%(name)s: %(message)s")
    logging.getLogger("kafka").propagate = False  # the error below reports the same problem once
    try:
        app()
    except Exception as error:
        if (liveshelf_error := as_liveshelf_error(error)) is not None:
            notice("failed", "bold red", str(liveshelf_error))
            sys.exit(1)
        # Python's own traceback would print a record's control characters to the terminal
        text = traceback.format_exc().rstrip()
        notice("internal error", "bold red", f"a bug of Liveshelf: please report it with these lines\n{text}")
        sys.exit(1)
