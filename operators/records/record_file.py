"""The good records of a file and counts of the bad ones, for `validate`, `train`, `replay` and `profile`."""

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
MAX_BAD_SHARE = 0.5  # share of the lines: above it this is probably the wrong file

T = TypeVar("T")


class RecordFile(Generic[T]):
    """Iterates over the good records. The counts are complete at the end.

    `line`: of the newest record; `good`: records so far; `bad`: lines left out, by reason, and of the first `EXAMPLES` (line, reason, what came) in
    `bad_lines`; `repaired`: converted fields. `on_bad` gets each line that is left out.
    """

    def __init__(self, file: Path, kind: str, read: Callable[[bytes], T], repaired: Counter[str]) -> None:
        """`kind`: the records' name, for people. Raises `EventsFileError` as `RecordLines` does."""
        self.file, self.kind, self.repaired = file, kind, repaired
        self._read, self._lines = read, RecordLines(file)
        next(iter(self._lines), None)  # refuses a file of another form before it is used
        self.good, self.line = 0, b""
        self.bad: Counter[str] = Counter()
        self.bad_lines: list[tuple[int, str, str]] = []
        self.on_bad: Callable[[int, bytes, BadRecord], object] | None = None

    def __iter__(self) -> Iterator[T]:
        """Raises `EventsFileError` as `RecordLines` does."""
        for number, line in self._lines:
            self.line = line
            try:
                record = self._read(line)
            except BadRecord as bad:
                self.bad[bad.reason] += 1
                if self.on_bad is not None:
                    self.on_bad(number, line, bad)
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
        """The bad lines in one line of text; empty if there are none."""
        if not self.bad:
            return ""
        reasons = ", ".join(f"{reason} {count}" for reason, count in self.bad.most_common())
        line, reason, came = self.bad_lines[0]
        return (
            f"{self.bad.total()} of {self.good + self.bad.total()} {self.kind} of {self.file} are left out: {reasons};"
            f" first line {line}: {reason}, {came}"
        )

    def refuse_mostly_bad(self) -> None:
        """Raises `EventsFileError` if more than half of the lines are bad, or no line is good."""
        if not self.good or self.bad.total() > MAX_BAD_SHARE * (self.good + self.bad.total()):
            raise EventsFileError(
                f"{self.kind} in {self.file}",
                self.left_out() or "none",
                f"liveshelf validate {self.file} lists the bad lines",
            )


def event_file(file: Path, limits: EventSettings) -> RecordFile[Event]:
    """Events of any age, decoded as the job does, by this machine's clock."""
    decoder, now_ms = EventDecoder(limits, any_age=True), time.time_ns() // 1_000_000
    return RecordFile(file, "events", lambda line: decoder.decode("", line, now_ms), decoder.repaired)


def catalogue_file(file: Path, limits: EventSettings) -> RecordFile[CatalogueItem]:
    """Catalogue records."""
    repaired, placeholders = Counter[str](), limits.placeholders
    return RecordFile(file, "catalogue records", lambda line: read_item("", line, repaired, placeholders), repaired)
