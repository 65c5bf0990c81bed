"""The history: a bounded log of what shoppers did, on disk, with the offsets up to which it holds the topics.

`state.json` names the segments, and is replaced by rename after they are written. A segment that it does not name was
being written when the process died; it is removed. So each record is in the history exactly once.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import msgspec
from msgspec.structs import replace

from model_export.follow.record_filter import RecordFilter
from model_export.follow.stored_records import EARLIER, Segment, Shown, StoredEvent, TopicRecord
from operators.configuration.shop_settings import EventSettings
from operators.errors import LiveshelfError
from operators.feedback.final_examples import final_examples
from operators.records.contracts import EVENTS

STATE, LOCK = "state.json", "lock"
SMALL = 5000  # records: a smaller newest segment is written again together with the next records
SHOWN_FOR_EVENT = (
    4  # shown items at most for each event that the history may hold: 200,000 events, 40,000 lists of twenty
)
Offsets = dict[str, dict[int, int]]  # topic -> partition -> the next offset


class SegmentNote(msgspec.Struct):
    """A segment's file and how much it holds."""

    file: str
    events: int
    shown: int

    def __len__(self) -> int:
        return self.events + self.shown


class HistoryState(msgspec.Struct):
    """What `state.json` holds. `refused` and `erased`: of `RecordFilter`. `topic_ids`: which topics the offsets are of."""

    offsets: Offsets = {}
    segments: list[SegmentNote] = []
    number: int = 0
    erased: dict[str, int] = {}
    refused: list[str] = []
    topic_ids: dict[str, str] = {}


class History:
    """One process writes it. `counts`: records that this process took or left out, by what became of them."""

    def __init__(self, folder: Path, events: int, limits: EventSettings) -> None:
        """`events`: how many it holds at most; of shown items `SHOWN_FOR_EVENT` times as many. Raises `LiveshelfError` if another process has the folder open, or if
        `state.json` is damaged."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._bound, self._limits = folder, events, limits
        self._lock = _locked(folder / LOCK)
        self._state = _read_state(folder / STATE)
        self._remove_unnamed()
        self.counts = Counter[str]()

    @property
    def offsets(self) -> Offsets:
        """Topic -> partition -> the offset of the next record to take."""
        return self._state.offsets

    @property
    def event_count(self) -> int:
        """Events in the history."""
        return sum(note.events for note in self._state.segments)

    def follow(self, topic_ids: Mapping[str, str]) -> None:
        """Notes the ids that the topics have now. A topic that was created anew, as by a restore, is read from its start: its
        offsets mean other records. The events from before stay, as `EARLIER`."""
        known = self._state.topic_ids
        if topic_ids.items() <= known.items():
            return
        anew = {topic for topic, topic_id in topic_ids.items() if known.get(topic, topic_id) != topic_id}
        segments, number = self._state.segments, self._state.number
        if EVENTS in anew:
            segments, number = self._as_earlier(segments, number)
        offsets = {topic: of_topic for topic, of_topic in self._state.offsets.items() if topic not in anew}
        self._put(
            replace(self._state, offsets=offsets, segments=segments, number=number, topic_ids={**known, **topic_ids})
        )

    def take(self, records: Iterable[TopicRecord], offsets: Mapping[str, Mapping[int, int]]) -> None:
        """Adds records and commits `offsets`, the next ones of their partitions, in one step. Erasures come before the
        records of other topics."""
        kept = RecordFilter(self._limits, self._state.erased, set(self._state.refused), self.counts)
        new = kept.segment(records)
        segments = self._state.segments
        number = self._state.number
        if kept.forgotten:
            segments, number = self._without(kept.forgotten, segments, number)
        if len(new):
            if segments and len(segments[-1]) < SMALL:
                newest = self._read(segments[-1])
                new = Segment(newest.events + new.events, newest.shown + new.shown)
                segments = segments[:-1]
            segments, number = [*segments, self._write(new, number)], number + 1
        segments, number = self._bounded(segments, number)
        merged = {topic: dict(of_topic) for topic, of_topic in self._state.offsets.items()}
        for topic, of_topic in offsets.items():
            merged.setdefault(topic, {}).update(of_topic)
        refused = sorted(kept.refused)
        self._put(HistoryState(merged, segments, number, kept.erased, refused, self._state.topic_ids))

    def events(self) -> list[StoredEvent]:
        """All events, by event time; of one time in the order in which they came. Of an `EARLIER` event that a restore put
        on the new topic too, the newer record."""
        stored = [event for note in self._state.segments for event in self._read(note).events]
        newer = {(one.event.user_id, one.event.event_id) for one in stored if one.partition != EARLIER}
        kept = (
            one for one in stored if one.partition != EARLIER or (one.event.user_id, one.event.event_id) not in newer
        )
        return sorted(kept, key=lambda one: int(one.event.event_time))

    def shown(self) -> list[Shown]:
        """The valid revision of each example."""
        return list(final_examples(one for note in self._state.segments for one in self._read(note).shown).values())

    def close(self) -> None:
        """Lets another process open it."""
        self._lock.close()

    def _put(self, state: HistoryState) -> None:
        self._state = state
        write_whole(self._folder / STATE, msgspec.json.format(msgspec.json.encode(state)))
        self._remove_unnamed()

    def _as_earlier(self, segments: list[SegmentNote], number: int) -> tuple[list[SegmentNote], int]:
        marked = []
        for note in segments:
            if note.events:
                segment = self._read(note)
                segment.events = [replace(stored, partition=EARLIER) for stored in segment.events]
                note, number = self._write(segment, number), number + 1
            marked.append(note)
        return marked, number

    def _without(self, users: set[str], segments: list[SegmentNote], number: int) -> tuple[list[SegmentNote], int]:
        remaining = []
        for note in segments:
            segment = self._read(note)
            kept = segment.without(users)
            if len(kept) < len(segment):
                self.counts["forgotten"] += len(segment) - len(kept)
                if not len(kept):
                    continue
                note, number = self._write(kept, number), number + 1
            remaining.append(note)
        return remaining, number

    def _bounded(self, segments: list[SegmentNote], number: int) -> tuple[list[SegmentNote], int]:
        """Drops the oldest events and the oldest shown items beyond their bounds, each without the other."""
        for kind, bound, reason in (
            ("events", self._bound, "too_old"),
            ("shown", self._bound * SHOWN_FOR_EVENT, "too_old_example"),
        ):
            excess = sum(getattr(note, kind) for note in segments) - bound
            remaining = []
            for note in segments:
                dropped = min(excess, getattr(note, kind))
                if dropped > 0:
                    excess -= dropped
                    self.counts[reason] += dropped
                    if dropped == len(note):
                        continue
                    segment = self._read(note)
                    del getattr(segment, kind)[:dropped]
                    note, number = self._write(segment, number), number + 1
                remaining.append(note)
            segments = remaining
        return segments, number

    def _read(self, note: SegmentNote) -> Segment:
        return msgspec.msgpack.decode((self._folder / note.file).read_bytes(), type=Segment)

    def _write(self, segment: Segment, number: int) -> SegmentNote:
        note = SegmentNote(f"segment-{number:08}.msgpack", len(segment.events), len(segment.shown))
        write_whole(self._folder / note.file, msgspec.msgpack.encode(segment))
        return note

    def _remove_unnamed(self) -> None:
        named = {note.file for note in self._state.segments}
        for file in self._folder.glob("segment-*"):
            if file.name not in named:
                file.unlink()


def write_whole(file: Path, content: bytes) -> None:
    """Replaces a file by rename, after its content is on the disk."""
    part_file = file.with_name(f"{file.name}.part")
    with part_file.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    part_file.replace(file)


def _read_state(file: Path) -> HistoryState:
    if not file.is_file():
        return HistoryState()
    try:
        return msgspec.json.decode(file.read_bytes(), type=HistoryState)
    except msgspec.MsgspecError as error:
        raise LiveshelfError(
            f"the state of a trainer's history in {file}",
            str(error),
            "remove its folder: it is read again from the topics",
        ) from error


def _locked(file: Path) -> IO[bytes]:
    lock = file.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise LiveshelfError(
            f"one trainer in {file.parent}", "another one that has it open", "stop it, or set another trainer.work_dir"
        ) from error
    return lock
