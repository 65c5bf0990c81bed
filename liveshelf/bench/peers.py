"""`liveshelf bench peers`: the same work on other engines."""

from pathlib import Path

import typer

from liveshelf.bench.result import BundleOption, KeepOption, tell
from liveshelf.terminal.output import JsonFlag, people
from operators.errors import LiveshelfError


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
    from benchmarks.measuring.machine import describe
    from benchmarks.measuring.measured import NotMeasured
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.peers import contest, ours
    from benchmarks.peers.contestants import PEERS

    bench, names = StackUnderTest(bundle), only.split(",")
    folder = bench.settings.resolve(bench.settings.stack.data_dir) / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    if "liveshelf" in names:
        bench.started(anew=bundle is not None)
        with people.status("liveshelf"):
            rows.append(ours.measure(bench.settings, bench.items, bench.parts(), bench.restart, events))
    for job in bench.cluster.jobs(bench.settings.job.name) if names != ["liveshelf"] else []:
        bench.cluster.stop_with_savepoint(job["jid"])  # it must not take a share of the cores; `liveshelf resume`
    for peer in (peer for peer in PEERS if peer.name in names):
        with people.status(peer.name):
            try:
                rows += contest.measure(bench.settings, bench.items, peer, bench.folder, folder, events)
            except LiveshelfError as error:  # one that does not run must not cost the others their figures
                rows.append({"name": peer.name, "how": "failed", "lists_per_s": NotMeasured(str(error))})
    result = {"bench": "peers", "events": events, "rows": rows, "machine": describe()}
    tell(result | bench.served, keep, json)
