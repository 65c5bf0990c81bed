"""Liveshelf and the others, one after the other in one run."""

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
    bench: StackUnderTest, names: Collection[str], events: int, *, anew: bool, on_peer: Callable[[str], object]
) -> dict[str, Any]:
    """A row each for those of `names`; the others run without Liveshelf's job, which is stopped with a savepoint.

    `anew`: the job is restarted with the bundle of `bench`. `on_peer` hears who is measured. Raises `LiveshelfError` where
    Liveshelf itself cannot be measured.
    """
    folder = bench.settings.resolve(bench.settings.stack.data_dir) / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    if OURS in names:
        bench.started(anew=anew)
        on_peer(OURS)
        rows.append(ours.measure(bench.settings, bench.items, bench.parts(), bench.restart, events))
    for job in bench.cluster.jobs(bench.settings.job.name) if [*names] != [OURS] else []:
        bench.cluster.stop_with_savepoint(job["jid"])  # it must not take a share of the cores; `liveshelf resume`
    for peer in (peer for peer in PEERS if peer.name in names):
        on_peer(peer.name)
        try:
            rows += contest.measure(bench.settings, bench.items, peer, bench.folder, folder, events)
        except LiveshelfError as error:  # one that does not run must not cost the others their figures
            rows.append({"name": peer.name, "how": "failed", "lists_per_s": NotMeasured(str(error))})
    return {"bench": "peers", "events": events, "rows": rows, "machine": describe()}
