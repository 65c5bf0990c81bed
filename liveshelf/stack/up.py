"""`liveshelf up`: starts the local stack and returns when every part answers."""

import typer

from liveshelf.terminal.output import JsonFlag, machine
from liveshelf.terminal.start_steps import show_start
from operators.settings import load_settings


def run(
    secure: bool = typer.Option(
        False, "--secure", help="Creates users, rights and certificates; the broker then requires TLS and a login."
    ),
    json: bool = JsonFlag,
) -> None:
    """Starts broker, Flink, storefront and Prometheus on 127.0.0.1, and creates the topics.

    Example: liveshelf up
    """
    answers = show_start(load_settings(), secure=secure)
    if json:
        machine({"up": True, "parts": answers})
