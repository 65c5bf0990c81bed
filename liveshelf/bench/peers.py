"""`liveshelf bench peers`: the same work on other engines."""

from pathlib import Path

import typer

from liveshelf.bench.result import BundleOption, KeepOption, report_result
from liveshelf.terminal.output import JsonFlag, people


def peers(
    events: int = typer.Option(100_000, help="Size of each backlog.", min=1),
    only: str = typer.Option("liveshelf,bytewax,quix,pyflink", help="Engines to compare."),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Runs the same work on other engines, one after the other; installs each in its own environment.

    Example: liveshelf bench peers --only liveshelf,bytewax
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.peers.comparison import compare

    bench = StackUnderTest(bundle)
    with people.status("") as spinner:
        result = compare(bench, only.split(","), events, force_restart=bundle is not None, on_peer=spinner.update)
    report_result(result | bench.bundle_entry, keep, json)
