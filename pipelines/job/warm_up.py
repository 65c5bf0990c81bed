"""Made-up batches for the operator's own path, before records flow: until the JVM has compiled it.

They have a logic, a cache and a batcher of their own, so that nothing reaches states, topics, the scorer or metrics. Lists are
fallback lists: the scorer process runs its model before it serves (`operators/model/scorer.py`).
"""

import logging
import time
from collections.abc import Callable, Sequence

import msgspec

from operators.configuration.shop_settings import EventSettings
from operators.lists.encoded_list import Encoded
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.records.contracts import EVENTS
from operators.records.event_decode import EventDecoder
from operators.refresh.micro_batcher import MicroBatcher
from operators.refresh.refresh_logic import RefreshLogic
from operators.refresh.refresh_records import BatchActions
from operators.refresh.refresh_sensors import NullRefreshSensors
from operators.settings import Settings
from operators.shopper.recent_states import RecentStates
from operators.telemetry.timeline import BatchTimes
from pipelines.job.batch_messages import Message

log = logging.getLogger(__name__)
RECORDS, USERS = 64, 32  # of a batch; half of the users come twice
GROUP = 8  # batches whose times are compared: a single one may be interrupted
SETTLED = 0.95  # a group that takes more than this share of the best one before it is not faster any more


class WarmUp:
    """For the task thread."""

    def __init__(
        self, settings: Settings, lists: ListMaker, items: Sequence[str], clock_s: Callable[[], float]
    ) -> None:
        """`items`: some that the model knows; `clock_s` gives seconds, monotonic."""
        self._items, self._clock_s = items, clock_s
        self._recent = RecentStates(settings.job.recent_users, clock_s)

        def fall_back(requests: Sequence[Request]) -> list[Encoded | Exception]:
            batch = BatchTimes(now := time.time(), now, now)
            return [lists.encoded_fallback(request, batch, with_digest=False) for request in requests]

        self._batcher = MicroBatcher(
            fall_back, max_batch=RECORDS, max_waiting=2 * RECORDS, deadline_s=60.0, clock=clock_s
        )
        self._logic = RefreshLogic(
            EventDecoder(EventSettings()),
            self._batcher,
            lists,
            EventSettings(),
            settings.scorer,
            time.time,
            NullRefreshSensors(),
        )
        self._until_s = clock_s() + settings.job.warm_up_ms / 1000
        self._number, self._began_s, self._best_s = 0, 0.0, float("inf")
        self._failed = False

    def records(self) -> bytes:
        """The next batch as `WarmUp.java` reads it; an empty one when it is enough."""
        if self._is_enough():
            log.info("the operator has run %s batches to warm up", self._number)
            return msgspec.msgpack.encode([])
        self._number += 1
        return msgspec.msgpack.encode([self._record(place) for place in range(RECORDS)])

    def on_batch(self, message: bytes) -> bytes:
        """As the operator's."""
        now_ms = time.time_ns() // 1_000_000
        batch = Message(message, now_ms, self._recent)
        try:
            actions = self._logic.on_batch(batch.turns)
            self._batcher.run_once()
        except Exception:  # the job runs without it
            log.exception("the warm-up failed")
            actions, self._failed = BatchActions(), True
        return batch.answer(actions)

    def _is_enough(self) -> bool:
        """Out of time, or no faster than before."""
        now_s = self._clock_s()
        if self._failed or now_s >= self._until_s:
            return True
        if self._number % GROUP:
            return False
        seconds, self._began_s = now_s - self._began_s, now_s
        if not self._number:
            return False
        settled, self._best_s = seconds > SETTLED * self._best_s, min(seconds, self._best_s)
        return settled

    def _record(self, place: int) -> tuple[bytes, bytes, str, int]:
        number, now_ms = RECORDS * self._number + place, time.time_ns() // 1_000_000
        user, item = f"warm-up-{number % USERS}", self._items[number % len(self._items)]
        event = {
            "event_id": f"warm-up-{number}",
            "event_type": "view",
            "event_time": now_ms,
            "user_id": user,
            "item_id": item,
        }
        return user.encode(), msgspec.json.encode(event), EVENTS, now_ms
