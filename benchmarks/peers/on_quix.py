"""The work on Quix Streams: `python -m benchmarks.peers.on_quix '{…}'`, one process a worker, in one consumer group.

Batched: a sink gets the records since the last commit, so the commit interval is short. Its state is in RocksDB with a
changelog topic.
"""

import sys
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

from operators.lists.request import Request
from pipelines.reference_jobs.work import Contest, Work, read_contest

COMMIT_S = 0.02


class Scored(BatchingSink):
    """Scores a commit's requests together and publishes the lists."""

    def __init__(self, work: Work, contest: Contest) -> None:
        super().__init__()
        self._work, self._topic = work, contest.target
        self._producer = Producer({"bootstrap.servers": contest.bootstrap, "linger.ms": 0})

    def write(self, batch: SinkBatch) -> None:
        """Runs at each commit."""
        for key, value in self._work.make([item.value for item in batch]):
            self._producer.produce(self._topic, key=key, value=value)
        self._producer.flush()


def main() -> None:
    """Runs one worker."""
    contest = read_contest(sys.argv[1])
    work = Work(Path(contest.bundle))
    app = Application(
        broker_address=contest.bootstrap,
        consumer_group=contest.group,
        auto_offset_reset="earliest",
        state_dir=f"{contest.folder}-{contest.worker}",
        commit_interval=COMMIT_S if contest.batched else 5.0,
        consumer_extra_config={"fetch.wait.max.ms": 100},
        producer_extra_config={"linger.ms": 0},
        loglevel="WARNING",
    )
    events = app.topic(contest.source, value_deserializer="bytes", key_deserializer="bytes")

    def stepped(value: bytes, key: bytes, timestamp: int, headers: Any, state: Any) -> Request | None:
        old_state = state.get_bytes("state", None)
        new_state, request = work.apply(key.decode(), value, timestamp, old_state)
        if new_state is not None and new_state is not old_state:
            state.set_bytes("state", new_state)
        return request

    requests = app.dataframe(events).apply(stepped, stateful=True, metadata=True)
    requests = requests.filter(lambda request: request is not None)
    if contest.batched:
        requests.sink(Scored(work, contest))
    else:
        lists = app.topic(contest.target, value_serializer="bytes", key_serializer="bytes")
        requests.apply(lambda request: work.make([request])[0][1]).to_topic(lists)
    app.run()


if __name__ == "__main__":
    main()
