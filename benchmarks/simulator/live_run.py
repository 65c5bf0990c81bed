"""The simulated shoppers on the real stack: events to `shop.events.v1`, lists from `shop.recommendations.v1`.

It publishes and follows with the parts of the Python client that shops import (`liveshelf.client`). Shoppers live in real
time, so event times are true; only their pauses are shorter than real ones.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from benchmarks.simulator.bundle_lists import BundleLists, ShopperStates, slate_of
from benchmarks.simulator.crowd import Crowd, Pace, Slate
from benchmarks.simulator.drift import Rows
from benchmarks.simulator.ledger import Ledger, Window
from benchmarks.simulator.world import World
from operators.errors import LiveshelfError
from operators.kafka_io.event_publisher import EventPublisher
from operators.kafka_io.kafka_clients import broker_errors, new_producer
from operators.records.contracts import Event, RecommendationList, encode_record
from operators.settings import Settings
from pipelines.topics.list_follower import Erased, ListFollower
from pipelines.topics.replayer import publish_catalogue

TICK_S = 0.1
PUBLISH_S = 60.0  # a broker may be away for so long


class NewestLists:
    """Follows the topic of lists in a thread of its own and keeps each shopper's newest list, as a storefront does."""

    def __init__(self, follower: ListFollower) -> None:
        self._follower = follower
        self._lists: dict[str, RecommendationList] = {}
        self._error: LiveshelfError | None = None
        self._thread = threading.Thread(target=self._follow, name="newest-lists", daemon=True)
        self._thread.start()

    def newest(self, user: str) -> Slate | None:
        """As `Shelf`. Raises the error that ended the thread."""
        if self._error is not None:
            raise self._error
        newest = self._lists.get(user)
        if newest is None or newest.expires_at <= time.time_ns() // 1_000_000:
            return None
        return slate_of(newest)

    def _follow(self) -> None:
        try:
            for change in self._follower:
                if isinstance(change, Erased):
                    self._lists.pop(change.user_id, None)
                else:
                    self._lists[change.user_id] = change
        except LiveshelfError as error:
            self._error = error


def live_run(
    world: World, pace: Pace, minutes: float, settings: Settings, control: BundleLists | None
) -> Iterator[Window]:
    """Runs for `minutes` and yields each window as it ends. The catalogue is published at the start, and each new item's
    record when it arrives. Raises `BrokerError`, also after a minute without the broker."""
    states = ShopperStates(settings)
    ledger, outbox = Ledger(world, states, control), list[Event]()

    def on_event(event: Event) -> None:
        outbox.append(event)
        ledger.on_event(event)

    with (
        closing(EventPublisher(settings)) as publisher,
        closing(new_producer(settings.kafka)) as producer,
        ListFollower(settings.kafka, None, "now", PUBLISH_S) as follower,
    ):
        shelf = NewestLists(follower)
        _publish_catalogue(world, world.present, producer, settings)
        start_s = time.time()
        crowd = Crowd(world, pace, shelf, f"{int(start_s):x}", int(start_s * 1000), on_event, ledger.on_look)
        for tick in range(1, round(minutes * 60 / TICK_S) + 1):
            due_s = tick * TICK_S
            time.sleep(max(0.0, start_s + due_s - time.time()))
            if len(arrived := world.advance(due_s)):
                _publish_catalogue(world, arrived, producer, settings)
                if control is not None:
                    control.put_on_sale(arrived)
            crowd.advance(due_s)
            publisher.publish([(event.user_id, encode_record(event)) for event in outbox], PUBLISH_S)
            outbox.clear()
            if window := ledger.end_tick(due_s, time.time() - start_s - due_s):
                yield window


def _publish_catalogue(world: World, rows: Rows, producer: Any, settings: Settings) -> None:
    with broker_errors(settings.kafka):
        publish_catalogue(world.catalogue(rows), producer)
