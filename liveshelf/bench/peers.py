"""`liveshelf bench peers`: the same work on other engines."""

from pathlib import Path

import typer

from liveshelf.bench.result import BundleOption, KeepOption, tell
from liveshelf.terminal.output import JsonFlag, people


def peers(
    events: int = typer.Option(100_000, help="Size of each backlog.", min=1),
    only: str = typer.Option("liveshelf,bytewax,quix,pyflink", help="Who competes."),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """The same work on other engines, one after the other in one run; installs each in an environment of its own.

    Example: liveshelf bench peers --only liveshelf,bytewax
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.peers.comparison import compare

    bench = StackUnderTest(bundle)
    with people.status("") as spinner:
        result = compare(bench, only.split(","), events, anew=bundle is not None, on_peer=spinner.update)
    tell(result | bench.served, keep, json)
