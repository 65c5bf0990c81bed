"""What the feedback join must make of the events on the topic, and what it has made, as a reader sees it."""

import itertools
import json
from collections import defaultdict
from contextlib import closing
from typing import Any

from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.feedback.example_comparison import Comparison, Key, compare, keys_of
from operators.feedback.example_writer import decode_example
from operators.feedback.join_limits import Windows
from operators.kafka_io.read_to_end import Offsets
from operators.records.contracts import EVENTS, EXAMPLES, Event, Example
from operators.records.event_decode import EventDecoder, key_text
from pipelines.topics.topic_reader import TopicReader
from tests.operators.feedback.offline_join import Record, offline_join
from tests.running_stack import Stack
from tests.stack.topics import eventually


class FeedbackLog:
    """Events that a test publishes for shoppers of its own, and the examples since its start."""

    def __init__(self, stack: Stack, prefix: str) -> None:
        self._stack, self._prefix, self._numbers = stack, prefix, itertools.count()  # several threads may send
        self._starts = {topic: stack.topics.ends(topic) for topic in (EVENTS, EXAMPLES)}

    def user(self, number: int) -> str:
        """The id of a shopper."""
        return f"{self._prefix}-{number}"

    def send(self, user: str, kind: str, now_ms: int, **fields: Any) -> None:
        """Publishes an event with an id of its own, unless a field names one; `publish` waits for all."""
        name = f"{self._prefix}-e{next(self._numbers)}"
        event = {"event_id": name, "event_type": kind, "event_time": now_ms, "user_id": user}
        self._stack.topics.send(EVENTS, user, event | fields)

    def publish(self) -> None:
        """Waits until the broker has all events."""
        self._stack.topics.producer.flush()

    def records(self) -> dict[str, list[Record]]:
        """User -> events as the job reads them, in their order: without bad ones, and each id once."""
        decoder, log = EventDecoder(EventSettings()), defaultdict[str, list[Record]](list)
        seen = set[tuple[str, str]]()
        for record in self._read(EVENTS):
            try:
                event: Event = decoder.decode(key_text(record.key), record.value, record.timestamp)
            except BadRecord:
                continue
            name = event.user_id, event.event_id
            if event.user_id.startswith(self._prefix) and name not in seen:
                seen.add(name)
                log[event.user_id].append((event, record.timestamp))
        return log

    def examples(self) -> list[Example]:
        """All examples of these shoppers that a reader of committed records has."""
        made = [decode_example(record.value) for record in self._read(EXAMPLES)]
        return [example for example in made if example.user_id.startswith(self._prefix)]

    def compared(self, windows: Windows) -> Comparison:
        """The examples against an offline join of the events."""
        expected, organic = dict[Key, str](), dict[str, Key]()
        for user, log in self.records().items():
            labels = offline_join(log, windows)
            expected |= labels
            organic |= keys_of(labels, user)
        examples, read_to_end = self.examples(), self._nothing_is_open()
        return compare(examples, expected, organic, read_to_end=read_to_end)

    def lists(self, users: list[str], starts: Offsets) -> dict[str, dict[str, Any]]:
        """The newest list of each user, when each has one."""

        def all_lists() -> dict[str, dict[str, Any]] | None:
            newest = self._stack.topics.newest_lists(starts)
            return {user: newest[user][0] for user in users} if newest.keys() >= {*users} else None  # type: ignore[misc]

        made: dict[str, dict[str, Any]] = eventually(all_lists, 90)
        return made

    def _read(self, topic: str) -> list[Any]:
        return self._stack.topics.read(topic, self._starts[topic])

    def _nothing_is_open(self) -> bool:
        with closing(TopicReader(self._stack.settings.kafka)) as reader:
            return reader.open_transactions((EXAMPLES,)) == 0


def feedback_counts(stack: Stack) -> dict[str, float]:
    """Reason -> count, from the page of the join's metrics."""
    import httpx

    (target,) = json.loads((stack.layout.targets / "feedback-0.json").read_text())
    text = httpx.get(f"http://{target['targets'][0]}/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("liveshelf_feedback_total{")]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}
