"""A tiny shop whose shoppers walk along chains of items, and the topics that hold what they did, without a broker."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from model_export.follow.follower import Portion
from operators.feedback.example_writer import example_id
from operators.records.contracts import (
    CATALOGUE,
    ERASURES,
    EVENTS,
    EXAMPLES,
    CatalogueItem,
    Event,
    Example,
    encode_record,
)
from tests.builders import NOW_MS, event

PARTITIONS = 2
ITEMS = 40
MINUTE_MS = 60_000


class Killed(BaseException):
    """The process dies here."""


class Death:
    """Calls that a process makes, and its death just before or just after one of them."""

    def __init__(self, kill_at: int) -> None:
        """`kill_at`: from 1; each call counts twice."""
        self._kill_at, self._moments = kill_at, 0

    def watches(self, do: Callable[..., Any]) -> Callable[..., Any]:
        """`do`, which may die."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self._pass()
            done = do(*args, **kwargs)
            self._pass()
            return done

        return call

    def _pass(self) -> None:
        self._moments += 1
        if self._moments == self._kill_at:
            raise Killed


@dataclass(frozen=True)
class Record:
    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    timestamp: int


@dataclass
class FakeTopics:
    """`Topics` over lists; `portion`: records of one portion."""

    logs: dict[tuple[str, int], list[Record]] = field(default_factory=dict)
    portion: int = 1000
    offered: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    created: int = 1

    def ids(self) -> dict[str, str]:
        return {topic: f"{topic} {self.created}" for topic in (ERASURES, EVENTS, EXAMPLES)}

    def create_anew(self) -> None:
        """Empty topics, whose offsets begin at 0 again."""
        self.logs, self.created = {}, self.created + 1

    def append(self, topic: str, key: str, value: bytes | None, time_ms: int) -> Record:
        partition = sum(key.encode()) % PARTITIONS
        log = self.logs.setdefault((topic, partition), [])
        log.append(Record(topic, partition, len(log), key.encode(), value, time_ms))
        return log[-1]

    def send(self, *events: Event) -> None:
        for one in events:
            self.append(EVENTS, one.user_id, encode_record(one), int(one.event_time))

    def show(self, *examples: Example) -> None:
        for one in examples:
            self.append(EXAMPLES, one.user_id, msgspec.json.encode(one), NOW_MS)

    def sell(self, *items: CatalogueItem) -> None:
        for item in items:
            self.append(CATALOGUE, item.item_id, encode_record(item), NOW_MS)

    def read(self, offsets: Mapping[str, Mapping[int, int]]) -> Iterator[Portion]:
        for topic in (ERASURES, EVENTS, EXAMPLES):
            for partition in range(PARTITIONS):
                log = self.logs.get((topic, partition), [])
                for start in range(offsets.get(topic, {}).get(partition, 0), len(log), self.portion):
                    records = log[start : start + self.portion]
                    yield records, {topic: {partition: start + len(records)}}

    def changed_offers(self) -> Iterable[Record]:
        records = [one for (topic, _), log in sorted(self.logs.items()) if topic == CATALOGUE for one in log]
        start, self.offered = self.offered, len(records)
        return records[start:]


def walks(users: int, first: int = 0, steps: int = 8, stride: int = 1, items: int = ITEMS) -> list[Event]:
    """Each shopper views every `stride`-th item of a circle, from a place of their own; a minute from one to the next."""
    return [
        event(
            event_id=f"w{user}-{step}",
            user_id=f"u{user}",
            item_id=f"p{(user * 7 + step * stride) % items}",
            event_time=NOW_MS + user * MINUTE_MS + step * 1000,
        )
        for user in range(first, first + users)
        for step in range(steps)
    ]


def shown(user: str, listed: str, item: str, position: int, label: str = "none", **fields: Any) -> Example:
    """The example of an item of a list."""
    given: dict[str, Any] = {
        "example_id": example_id(user, listed, item, position), "revision": 0, "recommendation_id": listed, "user_id": user,
        "item_id": item, "position": position, "placement": None, "shown_at": NOW_MS, "label": label, "model": None,
        "experiment": None, "propensity": None, "source": "model", "organic": False, "state": None,
    }  # fmt: skip
    return Example(**(given | fields))
