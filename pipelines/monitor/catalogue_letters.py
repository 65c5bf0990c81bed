"""A dead letter for each catalogue record that cannot be read.

Each subtask of the job reads the whole catalogue, so the monitor writes them: it reads the topic once. It notes on its disk
how far it has; where the note is lost, letters are written again, and none is left out.
"""

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

from operators.errors import BadRecord
from operators.kafka_io.kafka_clients import new_producer
from operators.records.contracts import CATALOGUE, DEAD_LETTERS, DeadLetterHeaders
from operators.records.dead_letter import LARGEST, fitting
from operators.settings import KafkaSettings

log = logging.getLogger(__name__)
NOTE = "catalogue-letters.json"
FLUSH_SECONDS = 10


class CatalogueLetters:
    """Counts in `refused`, by reason, what it has not seen before, and writes it. Not thread-safe."""

    def __init__(self, kafka: KafkaSettings, folder: Path, refused: Counter[str]) -> None:
        self._kafka = kafka
        self._note = folder / NOTE
        self._refused = refused
        self._producer: Any = None
        self._seen: dict[int, int] = {}  # partition -> offset after the last one that was read
        self._failure: BaseException | None = None

    def begin(self, ends: dict[int, int]) -> None:
        """Goes on where the note says. `ends`: of the partitions now; a note beyond them is of another topic."""
        try:
            noted = {int(partition): int(offset) for partition, offset in json.loads(self._note.read_text()).items()}
        except (OSError, ValueError, AttributeError, TypeError):
            noted = {}
        is_same = all(offset <= ends.get(partition, 0) for partition, offset in noted.items())
        self._seen, self._failure = noted if is_same else {}, None

    def take(self, record: Any, bad: BadRecord) -> None:
        """Takes a record that cannot be read. Raises `BrokerError` where there is no broker."""
        if record.offset < self._seen.get(record.partition, 0):
            return
        self._refused[bad.reason] += 1
        key, value, cut = fitting(record.key, record.value)
        headers = DeadLetterHeaders(
            topic=CATALOGUE,
            partition=record.partition,
            offset=record.offset,
            stage="VALUE_CONVERTER",
            reason=bad.reason,
            message=f"{bad}{cut}",
        )
        if self._producer is None:
            self._producer = new_producer(self._kafka, max_block_ms=5000, max_request_size=LARGEST)
        sent = self._producer.send(DEAD_LETTERS, key=key, value=value, headers=[*headers.pairs().items()])
        sent.add_errback(self._failed)

    def _failed(self, error: BaseException) -> None:
        if self._failure is None:
            log.warning("dead letters of the catalogue are not written, until the next start: %r", error)
        self._failure = error

    def done(self, offsets: dict[int, int]) -> None:
        """All before these offsets, by partition, was taken."""
        if offsets == self._seen or self._failure is not None:
            return
        if self._producer is not None:
            self._producer.flush(timeout=FLUSH_SECONDS)
        if self._failure is not None:
            return
        self._seen = offsets
        try:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            aside = self._note.with_suffix(".part")
            aside.write_text(json.dumps(offsets))
            aside.rename(self._note)
        except OSError as error:
            log.warning("how far the catalogue was read is not noted: %s", error)

    def close(self) -> None:
        """Closes the producer."""
        if self._producer is not None:
            self._producer.close(timeout=5)
            self._producer = None
