"""A file of events published to the local stack: when each is due, and what the job made of them."""

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
    """What was published in `seconds`. `known_already`: events that the job left out, None where that is not known.
    `left_out`: a line about the bad lines of each file that has some."""

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
    """Publishes the catalogue, and then at most `limit` events, each when `pace` says so.

    `on_catalogue` hears how many catalogue records were published. Raises `BrokerError` where the broker refuses for good,
    `EventsFileError` for a file of another form.
    """
    begun, progress = time.monotonic(), Progress()
    chosen = event_file(events, settings.events)
    items = catalogue_file(catalogue, settings.events) if catalogue else None
    producer, effect = new_producer(settings.kafka), ReplayEffect(Layout.of(settings).targets)
    try:
        with broker_errors(settings.kafka):
            if items is not None:
                on_catalogue(publish_catalogue(items, producer))

            def tick() -> None:
                on_progress(progress)

            few = islice(chosen, limit)
            replay(few, pace, producer, keep_times=keep_times, progress=progress, tick=tick)
            if progress.failure is not None and is_final(progress.failure):
                raise progress.failure
    finally:
        producer.close(timeout=5)
    seconds = time.monotonic() - begun
    left_out = [file.left_out() for file in (items, chosen) if file is not None and file.bad]
    return FileReplay(chosen, progress, seconds, effect.known_already(progress.sent), left_out)
