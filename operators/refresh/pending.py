"""What the operator owes a user, and when it must look at that user next.

A user with an open promise (a timer of the engine that this process knows of) has one `Pending`; an idle user has none.
So these records are never more than the open promises, however long the model is away.

                 request taken               answer              list out, promise
           idle ───────────────> scoring ──────────────> answered ─────────────> idle
            │                     ^    │ │
            │             promise │    │ └─ no scorer ─> owed
            │                     │    │ past the          │ promise: the
            │ request refused:    │    v deadline          v fallback list
            └─ fallback list ─> fallen back <──────────────┘

With at-least-once delivery a list is out in the same batch as its answer, and its promise is taken back. With exactly-once
delivery the promise stays, and finds out whether the list was committed.

From every phase a newer request leads to `scoring` where it is taken and to `fallen back` where it is refused, an error of
our own to `owed`, an erasure to `answered`. A user who is past the deadline and in flight is idle after the fallback list:
the request may be what the scorer hangs on, and the next event asks again.

The task thread owns all fields; no other thread writes one. The scorer thread takes a request that waits at any moment,
so the batcher keeps its queue itself, under its lock, and `scoring` covers both, waiting and in flight. In one record with
the queue every access would need that lock: 0.25 us instead of 0.02, about 1 us a list.

Two things survive the process and are not here: the promise, and with exactly-once delivery two bits of the state
(`operators/shopper/listing.py`).
"""

import math
from dataclasses import dataclass
from typing import Literal

from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.refresh.batch_scorer import NoScorer
from operators.refresh.micro_batcher import Answer

MAX_BACK_OFF = 8  # maximum retry back-off, in `retry_after_ms`: after an outage a user waits at most so long
MAX_ERROR_BACK_OFF_MS = 3_600_000

# what the next promise does: "idle" asks the model, unless the list is known to be out (the promise is from before this
# process); "scoring" looks whether the request is past the deadline; "answered" does nothing; "owed" sends the fallback
# list, because the request reached no scorer or our own code raised; "fallen back" asks the model again
Phase = Literal["idle", "scoring", "answered", "owed", "fallen back"]


@dataclass(slots=True, eq=False)
class Pending:
    """One user with an open promise."""

    phase: Phase = "idle"
    soon: bool = False  # whether a promise is set that fires by the deadline: a new request needs no other
    request: Request | None = None  # the newest, while the batcher has it
    since_s: float = 0.0  # when the oldest unanswered request was submitted, by the batcher's clock
    newest_s: float = 0.0  # when `request` was
    fallback_of: tuple[int, int] | None = None  # order of the state whose fallback list is out
    back_off_ms: int = 0
    answer: Answer[Request, Encoded] | None = None  # exactly once: waits for the next turn of its user

    def submit(self, request: Request, now_s: float) -> None:
        """The batcher has taken a request."""
        if self.request is None:
            self.since_s = now_s
        self.request, self.phase, self.newest_s = request, "scoring", now_s

    def close(self, answer: Answer[Request, Encoded]) -> None:
        """A request was answered. After an answer to an older request than the newest, that one is the oldest."""
        if answer.request is not self.request:
            self.since_s = self.newest_s
            return
        self.request = None
        if isinstance(answer.result, NoScorer):
            self.phase = "owed"
        else:
            self.phase, self.fallback_of, self.back_off_ms = "answered", None, 0

    def withdraw(self) -> None:
        """The user was erased: no list is due, and the promise finds nothing to do."""
        self.phase, self.request, self.answer, self.fallback_of = "answered", None, None, None

    def fall_back(self, order: tuple[int, int], retry_after_ms: int) -> None:
        """The fallback list of a state of this order is out. For the same state the back-off doubles each time."""
        longer = min(max(2 * self.back_off_ms, retry_after_ms), MAX_BACK_OFF * retry_after_ms)
        self.back_off_ms = longer if self.fallback_of == order else retry_after_ms
        self.phase, self.request, self.fallback_of = "fallen back", None, order

    def lose(self) -> None:
        """Not even the fallback list of an answer could be made: the promise tries again."""
        self.fallback_of = None
        self.phase = "owed" if self.phase == "answered" else self.phase

    def fail(self, retry_after_ms: int) -> None:
        """Our own code raised: the promise tries again, and the back-off doubles each time."""
        self.back_off_ms = min(2 * self.back_off_ms or retry_after_ms, MAX_ERROR_BACK_OFF_MS)
        self.phase = "owed"

    def is_late(self, now_s: float, deadline_ms: float) -> bool:
        """Whether the oldest unanswered request is past the deadline."""
        return (now_s - self.since_s) * 1000 >= deadline_ms

    def next_look_ms(self, now_s: float, deadline_ms: float) -> int:
        """Milliseconds until the operator must look at the user again: at the deadline of the request."""
        if self.phase != "scoring":
            return self.back_off_ms
        return max(1, math.ceil(deadline_ms - (now_s - self.since_s) * 1000))
