"""Writes a dead letter for each catalogue record that cannot be read.

The monitor writes them because it reads the catalogue once; each subtask of the job reads it too. A note on disk holds
the next offsets. If the note is lost, the monitor writes letters twice, but misses none.
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
    """Writes letters for new bad records, and counts them by reason in `refused`. Not thread-safe."""

    def __init__(self, kafka: KafkaSettings, folder: Path, refused: Counter[str]) -> None:
        self._kafka = kafka
        self._note = folder / NOTE
        self._refused = refused
        self._producer: Any = None
        self._next_offsets: dict[int, int] = {}  # by partition
        self._failure: BaseException | None = None

    def begin(self, ends: dict[int, int]) -> None:
        """Continues at the noted offsets. `ends`: partition -> end offset; a note beyond them belongs to another topic."""
        try:
            noted_offsets = {
                int(partition): int(offset) for partition, offset in json.loads(self._note.read_text()).items()
            }
        except (OSError, ValueError, AttributeError, TypeError):
            noted_offsets = {}
        is_same = all(offset <= ends.get(partition, 0) for partition, offset in noted_offsets.items())
        self._next_offsets, self._failure = noted_offsets if is_same else {}, None

    def take(self, record: Any, bad: BadRecord) -> None:
        """Writes the letter of a record that cannot be read, if it is new. Raises `BrokerError` without a broker."""
        if record.offset < self._next_offsets.get(record.partition, 0):
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
        future = self._producer.send(DEAD_LETTERS, key=key, value=value, headers=[*headers.pairs().items()])
        future.add_errback(self._keep_failure)

    def _keep_failure(self, error: BaseException) -> None:
        if self._failure is None:
            log.warning("dead letters of the catalogue are not written, until the next start: %r", error)
        self._failure = error

    def commit(self, offsets: dict[int, int]) -> None:
        """Flushes the letters and notes the next offsets (by partition), unless a letter failed."""
        if offsets == self._next_offsets or self._failure is not None:
            return
        if self._producer is not None:
            self._producer.flush(timeout=FLUSH_SECONDS)
        if self._failure is not None:
            return
        self._next_offsets = offsets
        try:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            part_file = self._note.with_suffix(".part")
            part_file.write_text(json.dumps(offsets))
            part_file.rename(self._note)
        except OSError as error:
            log.warning("how far the catalogue was read is not noted: %s", error)

    def close(self) -> None:
        """Closes the producer."""
        if self._producer is not None:
            self._producer.close(timeout=5)
            self._producer = None
