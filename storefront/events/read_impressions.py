"""An impression for each list that the storefront gives out, for shops that cannot send impressions
(`storefront.impressions = "reads"`).

A list counts as shown when it was read. The page and other storefronts may publish the same impression: its event id is that
of the list, so the job takes it once.
"""

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from operators.errors import BrokerError
from operators.kafka_io.event_publisher import EventPublisher
from operators.records.contracts import MAX_BASKET
from storefront.view.served_list import ServedList

log = logging.getLogger(__name__)
WAITING = 10_000  # impressions that may wait for the broker; a reader never waits for it
REMEMBERED = 100_000  # lists that were shown; the job drops the impressions of older ones that are read again
TOGETHER, SEND_SECONDS = 500, 10.0
_encode = msgspec.json.Encoder().encode


def impression_of(shown: ServedList, now_ms: int) -> dict[str, object]:
    """The impression of a list, as an event."""
    return {
        "event_id": f"shown-{shown.recommendation_id}",
        "event_type": "impression",
        "event_time": now_ms,
        "user_id": shown.user_id,
        "items": [item.item_id for item in shown.items[:MAX_BASKET]],
        "recommendation_id": shown.recommendation_id,
    }


class ReadImpressions:
    """Publishes impressions in a thread of its own. `shown` may be called from any thread."""

    def __init__(self, publisher: EventPublisher, count: Callable[[str, int], None]) -> None:
        """`count(outcome, impressions)` with the outcome published, failed, or dropped (too many wait)."""
        self._publisher, self._count = publisher, count
        self._waiting: queue.Queue[tuple[str, bytes] | None] = queue.Queue(WAITING)
        self._lock, self._known = threading.Lock(), OrderedDict[str, None]()
        self._thread = threading.Thread(target=self._run, name="read-impressions", daemon=True)
        self._thread.start()

    def shown(self, answer: ServedList) -> None:
        """A reader gets this list. The popular list is nobody's, and a list counts once."""
        if not answer.known or not answer.items or not self._is_new(answer.recommendation_id):
            return
        value = _encode(impression_of(answer, time.time_ns() // 1_000_000))
        try:
            self._waiting.put_nowait((answer.user_id, value))
        except queue.Full:
            self._count("dropped", 1)

    def close(self) -> None:
        """Publishes what waits, for some seconds at most."""
        try:
            self._waiting.put(None, timeout=1)
        except queue.Full:
            return
        self._thread.join(SEND_SECONDS)

    def _is_new(self, recommendation_id: str) -> bool:
        with self._lock:
            if recommendation_id in self._known:
                self._known.move_to_end(recommendation_id)
                return False
            self._known[recommendation_id] = None
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
            return True

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, ends = [first], False
            while len(batch) < TOGETHER and not self._waiting.empty():
                if (more := self._waiting.get()) is None:
                    ends = True
                    break
                batch.append(more)
            self._publish(batch)
            if ends:
                return

    def _publish(self, batch: list[tuple[str, bytes]]) -> None:
        try:
            self._publisher.publish(batch, SEND_SECONDS)
        except BrokerError as error:
            log.warning("impressions of %s lists not taken: %s", len(batch), error)
            self._count("failed", len(batch))
        except Exception:
            log.exception("impressions of %s lists", len(batch))
            self._count("failed", len(batch))
        else:
            self._count("published", len(batch))
