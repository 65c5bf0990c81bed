"""The good records of a file, and an account of those that are left out: what `validate`, `train`, `replay` and `profile` share."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord, EventsFileError
from operators.records.catalogue_decode import read_item
from operators.records.contracts import CatalogueItem, Event
from operators.records.event_decode import EventDecoder
from operators.records.record_lines import RecordLines

EXAMPLES = 20
MOST_BAD = 0.5  # of the lines: above it the file is another one than was meant

T = TypeVar("T")


class RecordFile(Generic[T]):
    """Iterates over the good records. The account is complete at the end.

    `line`: of the newest record; `good`: records so far; `bad`: lines left out, by reason, and of the first `EXAMPLES` (line, reason, what came) in
    `bad_lines`; `repaired`: fields that were read otherwise than they were written.
    """

    def __init__(self, file: Path, kind: str, read: Callable[[bytes], T], repaired: Counter[str]) -> None:
        """`kind`: the records' name, for people. Raises `EventsFileError` as `RecordLines` does."""
        self.file, self.kind, self.repaired = file, kind, repaired
        self._read, self._lines = read, RecordLines(file)
        next(iter(self._lines), None)  # a file of another form is refused before anything is done with it
        self.good, self.line = 0, b""
        self.bad: Counter[str] = Counter()
        self.bad_lines: list[tuple[int, str, str]] = []

    def __iter__(self) -> Iterator[T]:
        """Raises `EventsFileError` as `RecordLines` does."""
        for number, line in self._lines:
            self.line = line
            try:
                record = self._read(line)
            except BadRecord as bad:
                self.bad[bad.reason] += 1
                if len(self.bad_lines) < EXAMPLES:
                    self.bad_lines.append((number, bad.reason, bad.came))
                continue
            self.good += 1
            yield record

    @property
    def blank(self) -> int:
        """Blank lines skipped."""
        return self._lines.blank

    def left_out(self) -> str:
        """What was left out, in one line; empty where nothing was."""
        if not self.bad:
            return ""
        reasons = ", ".join(f"{reason} {count}" for reason, count in self.bad.most_common())
        line, reason, came = self.bad_lines[0]
        return (
            f"{self.bad.total()} of {self.good + self.bad.total()} {self.kind} of {self.file} are left out: {reasons};"
            f" first line {line}: {reason}, {came}"
        )

    def refuse_mostly_bad(self) -> None:
        """Raises `EventsFileError` where more than half of the lines are bad, or none is good."""
        if not self.good or self.bad.total() > MOST_BAD * (self.good + self.bad.total()):
            raise EventsFileError(
                f"{self.kind} in {self.file}",
                self.left_out() or "none",
                f"liveshelf validate {self.file} lists the bad lines",
            )


def event_file(file: Path, limits: EventSettings) -> RecordFile[Event]:
    """Events of any age, judged as the job would, by this machine's clock."""
    decoder, now_ms = EventDecoder(limits, any_age=True), time.time_ns() // 1_000_000
    return RecordFile(file, "events", lambda line: decoder.decode("", line, now_ms), decoder.repaired)


def catalogue_file(file: Path, limits: EventSettings) -> RecordFile[CatalogueItem]:
    """Catalogue records."""
    repaired, placeholders = Counter[str](), limits.placeholders
    return RecordFile(file, "catalogue records", lambda line: read_item("", line, repaired, placeholders), repaired)
