"""The floor of freshness: a job on the same cluster that only copies records from topic to topic, and its reader.

No list of Liveshelf can be readable sooner than such a copy.
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

from deploy.local.flink.flink_home import process_environment
from deploy.local.layout import Layout
from operators.configuration.kafka_settings import KafkaSettings
from operators.errors import ClusterError
from operators.kafka_io.kafka_clients import consumer_at_end
from operators.records.contracts import EVENTS
from operators.records.topic_specs import TopicSpec
from operators.settings import Settings, project_root
from operators.waiting import wait_while
from pipelines.submission.cluster import Cluster, python_part
from pipelines.submission.launcher import run_client
from pipelines.topics.topic_admin import ensure_topics

JOB, TOPIC = "liveshelf-floor", "bench.floor.v1"
START_S = 60.0
LONGEST_US = 120_000_000
WHOLE = 0.95  # share of the records that must pass: sample and load do not start and end at the same record


class _Moment(msgspec.Struct):
    event_time: int


_decode = msgspec.json.Decoder(_Moment).decode


def plan(settings: Settings) -> dict[str, Any]:
    """The order for `pipelines.reference_jobs.floor_job`: Liveshelf's client settings, buffer time-out and checkpoints, but
    no exchange and no Python."""
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


def connector_options(settings: KafkaSettings, more: dict[str, str]) -> str:
    """What a table of the Kafka connector has in its WITH: raw keys and values, the shop's client settings, and `more`."""
    client = {f"properties.{name}": value for name, value in settings.java_options().items()}
    options = {
        "connector": "kafka",
        "key.format": "raw",
        "key.fields": "key",
        "value.format": "raw",
        "value.fields-include": "EXCEPT_KEY",
    }
    return ", ".join(f"'{name}' = '{_quoted(value)}'" for name, value in (options | client | more).items())


def _quoted(text: str) -> str:
    return text.replace("'", "''")


class Floor:
    """The job and its reader, inside a `with`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cluster = Cluster(settings.job)
        self._stop = threading.Event()
        self.latency_us = HdrHistogram(1, LONGEST_US, 3)
        self.count_from_ms = 1 << 62
        self._failure = ""

    def __enter__(self) -> "Floor":
        ensure_topics(self._settings.kafka, [TopicSpec(TOPIC, "user_id", {"retention.ms": "600000"})])
        try:
            self._submit()
            self._wait()
        except BaseException:
            self._cancel()  # else it would use cores during the next measurement
            raise
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._reader.join()
        self._cancel()

    def _cancel(self) -> None:
        for job in self._cluster.jobs(JOB):
            self._cluster.cancel(job["jid"])

    def _wait(self) -> None:
        if wait_while(
            lambda: not any(self._cluster.running_tasks(job["jid"]) for job in self._cluster.jobs(JOB)), START_S
        ):
            raise ClusterError("a free slot for the floor's job", "none", "a spare TaskManager is needed: liveshelf up")

    def _submit(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "floor.json"
            file.write_text(json.dumps(plan(self._settings)))
            program = project_root() / "pipelines" / "reference_jobs" / "floor_job.py"
            environment = os.environ | process_environment(Layout.of(self._settings))
            words = ["-py", str(program), str(file)]
            job_id, text = run_client(self._settings.job, environment, words, Path(folder))
        if job_id is None:
            raise ClusterError(
                "Flink's client to submit the floor's job", python_part(text)[-800:], "correct the cause above"
            )

    def incomplete_reasons(self, count: int) -> list[str]:
        """The reasons why the sample of `count` records is not whole; empty if it is."""
        passed = self.latency_us.get_total_count()
        reasons = [f"the floor's reader ended: {self._failure}"] if self._failure else []
        return reasons + ([f"{passed} of {count} records passed the floor"] if passed < WHOLE * count else [])

    def _read(self) -> None:
        try:
            consumer = consumer_at_end(self._settings.kafka, TOPIC)
            while not self._stop.is_set():
                for records in consumer.poll(timeout_ms=50).values():
                    now_us = time.time_ns() // 1000
                    for record in records:
                        self._take(record.value, now_us)
            consumer.close()
        except Exception as error:  # an error in a thread would go unseen, and a part of the records pass for all
            self._failure = repr(error)

    def _take(self, value: bytes, now_us: int) -> None:
        event_time = _decode(value).event_time
        if event_time >= self.count_from_ms:
            self.latency_us.record_value(min(LONGEST_US, max(1, now_us - event_time * 1000)))
