"""The floor of freshness: a job on the same cluster that only carries records from topic to topic, and its reader.

Whatever Liveshelf does between the two, no list can be readable sooner than a record that nothing was done with.
"""

import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
from hdrh.histogram import HdrHistogram

from deploy.local.flink_home import process_environment
from deploy.local.layout import Layout
from operators.contracts import EVENTS
from operators.errors import ClusterError
from operators.settings import Settings, project_root
from operators.topic_specs import TopicSpec
from pipelines.cluster import Cluster, python_part
from pipelines.launcher import run_client
from pipelines.list_reader import consumer_at_end
from pipelines.topic_admin import ensure_topics
from pipelines.topics import connector_options

JOB, TOPIC = "liveshelf-floor", "bench.floor.v1"
START_S = 60.0


class _Moment(msgspec.Struct):
    event_time: int


_decode = msgspec.json.Decoder(_Moment).decode


def plan(settings: Settings) -> dict[str, Any]:
    """What `pipelines.floor_job` is told: same connector, buffer time-out and checkpoints; no exchange and no Python."""
    source = {"topic": EVENTS, "scan.startup.mode": "latest-offset", "properties.group.id": JOB}
    source |= {"properties.fetch.max.wait.ms": "100"}
    sink = {"topic": TOPIC, "properties.acks": "all", "properties.linger.ms": "0"}
    columns = "(`key` BYTES, `value` BYTES)"
    return {
        "options": {
            "pipeline.name": JOB,
            "parallelism.default": "1",
            "execution.buffer-timeout.interval": "1 ms",
            "execution.checkpointing.interval": f"{settings.job.checkpoint_interval_ms} ms",
        },
        "tables": [
            f"CREATE TEMPORARY TABLE events {columns} WITH ({connector_options(settings.kafka, source)})",
            f"CREATE TEMPORARY TABLE passed {columns} WITH ({connector_options(settings.kafka, sink)})",
        ],
        "insert": "INSERT INTO passed SELECT * FROM events",
    }


class Floor:
    """The job and its reader, inside a `with`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cluster = Cluster(settings.job)
        self._stop = threading.Event()
        self.latency_us = HdrHistogram(1, 120_000_000, 3)
        self.count_from_ms = 1 << 62

    def __enter__(self) -> "Floor":
        ensure_topics(self._settings.kafka, [TopicSpec(TOPIC, "user_id", {"retention.ms": "600000"})])
        self._submit()
        deadline = time.monotonic() + START_S
        while not (jobs := self._cluster.jobs(JOB)) or not self._cluster.running_tasks(jobs[0]["jid"]):
            if time.monotonic() > deadline:
                raise ClusterError(
                    "a free slot for the floor's job", "none", "a spare TaskManager is needed: liveshelf up"
                )
            time.sleep(0.2)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._reader.join()
        for job in self._cluster.jobs(JOB):
            self._cluster.cancel(job["jid"])

    def _submit(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "floor.json"
            file.write_text(json.dumps(plan(self._settings)))
            program = project_root() / "pipelines" / "floor_job.py"
            environment = os.environ | process_environment(Layout.of(self._settings))
            words = ["-py", str(program), str(file)]
            job_id, text = run_client(self._settings.job, environment, words, Path(folder))
        if job_id is None:
            raise ClusterError(
                "Flink's client to submit the floor's job", python_part(text)[-800:], "correct the cause above"
            )

    def _read(self) -> None:
        consumer = consumer_at_end(self._settings.kafka, TOPIC)
        while not self._stop.is_set():
            for records in consumer.poll(timeout_ms=50).values():
                now_us = time.time_ns() // 1000
                for record in records:
                    event_time = _decode(record.value).event_time
                    if event_time >= self.count_from_ms:
                        self.latency_us.record_value(max(1, now_us - event_time * 1000))
        consumer.close()
