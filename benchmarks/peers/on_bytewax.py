"""The work on bytewax: `python -m benchmarks.peers.on_bytewax '{…}'`, one process a worker.

Batched: it scores the records of one poll together. Its recovery writes the state to SQLite every second.
"""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from operators.lists.request import Request
from pipelines.reference_jobs.work import Contest, Work, read_contest


def flow_of(contest: Contest) -> Dataflow:
    """Source -> state -> scorer -> sink."""
    work, flow = Work(Path(contest.bundle)), Dataflow("peer")
    config = {"fetch.wait.max.ms": "100"}
    events = op.input(
        "events", flow, KafkaSource([contest.bootstrap], [contest.source], add_config=config, batch_size=128)
    )

    def keyed(message: Any) -> tuple[str, tuple[str, bytes, int]]:
        user = message.key.decode()
        return user, (user, message.value, message.timestamp[1])

    def stepped(state: bytes | None, event: tuple[str, bytes, int]) -> tuple[bytes | None, Request | None]:
        return work.apply(*event, state)

    users = op.map("user", events, keyed)
    applied = op.stateful_map("step", users, stepped)

    def lists(batch: list[tuple[str, Request | None]]) -> list[KafkaSinkMessage[bytes, bytes]]:
        requests = [request for _, request in batch if request is not None]
        parts = [requests] if contest.batched else [[request] for request in requests]
        return [KafkaSinkMessage(key, value) for part in parts for key, value in work.make(part)]

    messages = op.flat_map_batch("score", applied, lists)
    op.output("lists", messages, KafkaSink([contest.bootstrap], contest.target, add_config={"linger.ms": "0"}))
    return flow


def main() -> None:
    """Runs one worker; two processes share the partitions in the batched version."""
    contest = read_contest(sys.argv[1])
    folder = Path(contest.folder)
    if not folder.exists() and contest.worker == 0:
        folder.mkdir(parents=True)
        init_db_dir(folder, 2)
    recovery = RecoveryConfig(folder)
    addresses = ["127.0.0.1:19801", "127.0.0.1:19802"] if contest.batched else None
    cli_main(
        flow_of(contest),
        workers_per_process=1,
        process_id=contest.worker if addresses else None,
        addresses=addresses,
        epoch_interval=timedelta(seconds=1),
        recovery_config=recovery,
    )


if __name__ == "__main__":
    main()
