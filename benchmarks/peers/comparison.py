"""Compares Liveshelf with other engines, one after the other in one run."""

from collections.abc import Callable, Collection
from typing import Any

from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import NotMeasured
from benchmarks.measuring.stack_under_test import StackUnderTest
from benchmarks.peers import contest, ours
from benchmarks.peers.contestants import PEERS
from operators.errors import LiveshelfError

OURS = "liveshelf"


def compare(
    bench: StackUnderTest, names: Collection[str], events: int, *, force_restart: bool, on_peer: Callable[[str], object]
) -> dict[str, Any]:
    """A row for each engine in `names`. While the others run, Liveshelf's job is stopped with a savepoint.

    `force_restart`: restart the job with the bundle of `bench`. `on_peer` gets the name of each engine. Raises
    `LiveshelfError` if Liveshelf itself cannot be measured.
    """
    folder = bench.settings.resolve(bench.settings.stack.data_dir) / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    if OURS in names:
        bench.ensure_job(force_restart=force_restart)
        on_peer(OURS)
        rows.append(ours.measure(bench.settings, bench.items, bench.parts(), bench.restart, events))
    for job in bench.cluster.jobs(bench.settings.job.name) if [*names] != [OURS] else []:
        bench.cluster.stop_with_savepoint(job["jid"])  # it must not use the cores; `liveshelf resume` starts it again
    for peer in (peer for peer in PEERS if peer.name in names):
        on_peer(peer.name)
        try:
            rows += contest.measure(bench.settings, bench.items, peer, bench.folder, folder, events)
        except LiveshelfError as error:  # the other engines keep their figures
            rows.append({"name": peer.name, "how": "failed", "lists_per_s": NotMeasured(str(error))})
    return {"bench": "peers", "events": events, "rows": rows, "machine": describe()}
