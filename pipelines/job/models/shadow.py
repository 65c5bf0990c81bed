"""The shadow of a rollout: a bundle that scores some of the requests, and whose lists nobody gets.

It has a thread of its own, and a short queue: a shadow that is slow misses requests and makes nobody wait.
"""

import logging
import queue
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.rollout.routing import Routing
from pipelines.job.models.model_metrics import ModelMetrics

if TYPE_CHECKING:
    from pipelines.job.models.serving import Serving

log = logging.getLogger(__name__)
QUEUED = 4  # micro-batches
ANSWER_S = 10.0
COMPARED = 20  # first items of both lists
Results = Sequence[Encoded | Exception]


class _Item(msgspec.Struct):
    item_id: str


class _Items(msgspec.Struct):
    items: list[_Item]


class _Used(NamedTuple):
    serving: "Serving"
    routing: Routing


_decode = msgspec.json.Decoder(_Items).decode


class Shadow:
    """`offer` is for the scorer thread, and `use` for the thread that follows the rollout."""

    def __init__(self, metrics: ModelMetrics) -> None:
        self._metrics = metrics
        self._used: _Used | None = None
        self._queue: queue.Queue[tuple[list[Request], list[Encoded]] | None] = queue.Queue(QUEUED)
        self._thread: threading.Thread | None = None

    def running(self, bundle_sum: str) -> "Serving | None":
        """What scores, if it is this bundle."""
        return self._used.serving if self._used is not None and self._used.serving.sum == bundle_sum else None

    def use(self, serving: "Serving | None", routing: Routing | None) -> None:
        """Scores with this bundle from now on, whose process is ready; None: with none. The one that ran goes on or is closed."""
        former, self._used = self._used, None if serving is None or routing is None else _Used(serving, routing)
        if former is not None and former.serving is not serving:
            former.serving.process.close()
            former.serving.leave()
        if self._used is not None and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
            self._thread.start()

    def offer(self, requests: Sequence[Request], results: Results) -> None:
        """Takes those requests of a batch that the shadow scores, with their lists."""
        if (used := self._used) is None:
            return
        pairs = [
            (request, result)
            for request, result in zip(requests, results, strict=True)
            if isinstance(result, Encoded) and used.routing.is_shadowed(request.user_id)
        ]
        if pairs:
            try:
                self._queue.put_nowait(([request for request, _ in pairs], [result for _, result in pairs]))
            except queue.Full:
                self._metrics.shadow_lists("missed", len(pairs))

    def close(self) -> None:
        """Ends the thread and the process."""
        self.use(None, None)
        if self._thread is not None:
            try:
                self._queue.put(None, timeout=ANSWER_S)
            except queue.Full:
                return  # it hangs, and is a daemon
            self._thread.join(ANSWER_S)

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            requests, served = batch
            try:
                if (used := self._used) is not None:
                    self._compare(self._lists_of(used.serving, requests), served)
            except Exception as error:
                self._metrics.shadow_lists("failed", len(requests))
                log.warning("the shadow made no lists: %s", error)

    def _lists_of(self, serving: "Serving", requests: list[Request]) -> Results:
        serving.process.prepare()
        serving.process.send(requests)
        if (results := serving.process.receive(ANSWER_S)) is None:
            serving.process.forget()
            raise TimeoutError(f"no answer in {ANSWER_S:.0f} s")
        return results

    def _compare(self, lists: Results, served: Sequence[Encoded]) -> None:
        for shadow_list, served_list in zip(lists, served, strict=True):
            if isinstance(shadow_list, Exception):
                self._metrics.shadow_lists("failed", 1)
            else:
                self._metrics.shadow_lists("made", 1)
                self._metrics.overlap.observe(overlap(shadow_list.value, served_list.value))


def overlap(one: bytes, other: bytes) -> float:
    """The share of the first `COMPARED` items of a list that are among those of another; 1 for two empty lists."""
    items, others = ({item.item_id for item in _decode(value).items[:COMPARED]} for value in (one, other))
    return len(items & others) / max(1, len(items)) if items or others else 1.0
