"""Replays a file of events to the local stack, and counts the duplicates that the job dropped."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from deploy.local.layout import Layout
from operators.kafka_io.broker_errors import is_final
from operators.kafka_io.kafka_clients import broker_errors, new_producer
from operators.records.contracts import Event
from operators.records.record_file import RecordFile, catalogue_file, event_file
from operators.settings import Settings
from pipelines.demo.replay_effect import ReplayEffect
from pipelines.topics.replayer import Progress, ReplayRate, publish_catalogue, replay


@dataclass
class FileReplay:
    """Result of a replay that took `seconds`. `known_already`: duplicates that the job dropped, None if unknown.
    `left_out`: one sentence for each file with bad lines."""

    events: RecordFile[Event]
    progress: Progress
    seconds: float
    known_already: int | None
    left_out: list[str]


def replay_files(
    settings: Settings,
    events: Path,
    catalogue: Path | None,
    pace: ReplayRate,
    *,
    limit: int | None,
    keep_times: bool,
    on_catalogue: Callable[[int], object],
    on_progress: Callable[[Progress], object],
) -> FileReplay:
    """Publishes the catalogue, and then at most `limit` events at the times of `pace`.

    `on_catalogue` gets the number of published catalogue records. Raises `BrokerError` if the broker refuses for good,
    `EventsFileError` for a file in another format.
    """
    started, progress = time.monotonic(), Progress()
    event_lines = event_file(events, settings.events)
    item_lines = catalogue_file(catalogue, settings.events) if catalogue else None
    producer, effect = new_producer(settings.kafka), ReplayEffect(Layout.of(settings).targets)
    try:
        with broker_errors(settings.kafka):
            if item_lines is not None:
                on_catalogue(publish_catalogue(item_lines, producer))

            def tick() -> None:
                on_progress(progress)

            first_events = islice(event_lines, limit)
            replay(first_events, pace, producer, keep_times=keep_times, progress=progress, tick=tick)
            if progress.failure is not None and is_final(progress.failure):
                raise progress.failure
    finally:
        producer.close(timeout=5)
    seconds = time.monotonic() - started
    left_out = [file.left_out() for file in (item_lines, event_lines) if file is not None and file.bad]
    return FileReplay(event_lines, progress, seconds, effect.known_already(progress.sent), left_out)
