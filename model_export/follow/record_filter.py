"""Which records of the topics the history takes: nothing of a user who was erased or refuses consent."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from model_export.follow.stored_records import Segment, Shown, StoredEvent, TopicRecord, user_mark
from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.feedback.example_writer import decode_example
from operators.records.contracts import ERASURES, EVENTS, EXAMPLES
from operators.records.event_decode import EventDecoder, decode_erasure, key_text
from operators.shopper.user_state import consent_of
from operators.time_units import DAY_MS

REMEMBERED_MS = 31 * DAY_MS  # an erasure: longer than any topic that is read keeps records


class RecordFilter:
    """Decodes records; `erased`, `refused` and `forgotten` hold `user_mark`s.

    `erased`: the broker's time of a user's newest erasure or refusal, epoch ms: nothing from before it is taken, also what
    is read later, such as an example. An erasure keeps a refusal, as the user's state does. `forgotten`: users of whom no
    record of the history may stay. `counts` gets `event`, `example` and a reason for each record that is left out.
    """

    def __init__(self, limits: EventSettings, erased: dict[str, int], refused: set[str], counts: Counter[str]) -> None:
        self._decoder = EventDecoder(limits)
        self.erased, self.refused, self._counts = dict(erased), refused, counts
        self.forgotten = set[str]()

    def segment(self, records: Iterable[TopicRecord]) -> Segment:
        """The records to keep."""
        segment, newest_ms = Segment([], []), 0
        takers = {ERASURES: self._erasure, EVENTS: self._event, EXAMPLES: self._example}
        for record in records:
            takers[record.topic](record, segment)
            newest_ms = max(newest_ms, record.timestamp)
        oldest_ms = newest_ms - REMEMBERED_MS
        self.erased = {mark: at_ms for mark, at_ms in self.erased.items() if at_ms > oldest_ms}
        return segment

    def _erasure(self, record: TopicRecord, segment: Segment) -> None:
        """An erasure, or the tombstone that the job writes over it when it is done."""
        user_id = key_text(record.key)
        if record.value is not None:
            try:
                user_id = decode_erasure(user_id, record.value).user_id
            except BadRecord:
                self._counts["bad"] += 1
                return
        self._forget(user_mark(user_id), record)
        self._counts["erasure"] += 1

    def _event(self, record: TopicRecord, segment: Segment) -> None:
        try:
            event = self._decoder.decode(key_text(record.key), record.value, record.timestamp)
        except BadRecord:
            self._counts["bad"] += 1
            return
        mark = user_mark(event.user_id)
        if (granted := consent_of(event)) is not None:  # also from before an erasure, which is read first
            (self.refused.discard if granted else self.refused.add)(mark)
            if not granted:
                self._forget(mark, record)
                segment.events[:] = [one for one in segment.events if one.event.user_id != event.user_id]
        elif self._is_erased(mark, record):
            return
        elif mark in self.refused:
            self._counts["no_consent"] += 1
        elif event.event_type == "impression":
            self._counts["impression"] += 1  # examples say what was shown
        else:
            segment.events.append(StoredEvent(record.partition, record.offset, event))
            self._counts["event"] += 1

    def _example(self, record: TopicRecord, segment: Segment) -> None:
        try:
            example = decode_example(record.value or b"")
        except msgspec.MsgspecError:
            self._counts["bad"] += 1
            return
        mark = user_mark(example.user_id)
        if self._is_erased(mark, record):
            return
        if mark in self.refused:
            self._counts["no_consent"] += 1
        elif (shown := Shown.of(example)) is not None:
            segment.shown.append(shown)
            self._counts["example"] += 1
        else:
            self._counts["organic"] += 1  # the event itself teaches

    def _is_erased(self, mark: str, record: TopicRecord) -> bool:
        if record.timestamp > self.erased.get(mark, -1):
            return False
        self._counts["erased"] += 1
        return True

    def _forget(self, mark: str, record: TopicRecord) -> None:
        self.erased[mark] = max(self.erased.get(mark, 0), record.timestamp)
        self.forgotten.add(mark)
