"""The work on faust-streaming: `python -m benchmarks.peers.on_faust '{…}' worker …`, one process a worker.

Batched: `take` of its streams. State is its RocksDB table with a changelog topic.
"""

import sys
from pathlib import Path
from typing import Any

import faust

from benchmarks.peers.work import BATCH, Work, told

WITHIN_S = 0.005


def main() -> None:
    """One worker."""
    contest = told(sys.argv[1])
    work = Work(Path(contest.bundle))
    app = faust.App(
        contest.group,
        broker=f"kafka://{contest.bootstrap}",
        store="rocksdb://",
        datadir=f"{contest.folder}-{contest.worker}",
        topic_partitions=4,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        producer_linger_ms=0,
    )
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    events, lists = app.topic(contest.source, **raw), app.topic(contest.target, **raw)
    states = app.Table("states", partitions=4, schema=faust.Schema(**raw))

    def stepped(event: Any) -> Any:
        key = event.key
        before = states.get(key)
        after, request = work.apply(key.decode(), event.value, int(event.message.timestamp * 1000), before)
        if after is not None and after is not before:
            states[key] = after
        return request

    @app.agent(events)
    async def score(stream: Any) -> None:
        if contest.batched:
            async for batch in stream.take_events(BATCH, within=WITHIN_S):
                for key, value in work.make([r for r in map(stepped, batch) if r is not None]):
                    await lists.send(key=key, value=value)
        else:
            async for event in stream.events():
                if (request := stepped(event)) is not None:
                    ((key, value),) = work.make([request])
                    await lists.send(key=key, value=value)

    sys.argv = ["faust", "worker", "--loglevel", "warn", "--without-web"]
    app.main()


if __name__ == "__main__":
    main()
