"""Exactly-once delivery: a list goes out in a turn of its user, and the state notes that it is out.

The engine keeps a state only for the user of a turn: when an answer is there, its user's turn is wanted. Offset, list and
note are in one checkpoint, so that a restart cannot write the list again. It can be read once that checkpoint has
committed its transaction. If the job is down for longer than the transaction timeout, the broker aborts the transaction
and the list is lost: a promise finds that out.
"""

from typing import NamedTuple

from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.refresh.batch_scorer import NoScorer
from operators.refresh.list_emission import ListEmission
from operators.refresh.micro_batcher import Answer
from operators.refresh.pending import Pending
from operators.refresh.refresh_records import Actions
from operators.shopper.listing import listing, mark_listed
from operators.shopper.state_layout import LISTED, SETTLED
from operators.shopper.user_state import order_of


class Transactions(NamedTuple):
    """When the broker may have aborted the transaction of a list."""

    timeout_ms: int
    checkpoint_interval_ms: int

    @property
    def confirm_ms(self) -> int:
        """Time after which a written list should be committed. Its promise then checks whether it may be lost."""
        return 3 * self.checkpoint_interval_ms

    def gave_up(self, late_ms: int) -> bool:
        """Whether the broker may have aborted a transaction whose promise fires this late."""
        return late_ms + self.confirm_ms + self.checkpoint_interval_ms >= self.timeout_ms


class ExactlyOnce:
    """The part of `RefreshLogic` that only this delivery has."""

    def __init__(self, transactions: Transactions, emission: ListEmission) -> None:
        self._transactions, self._emission = transactions, emission
        self._answered: dict[str, None] = {}  # users whose answer waits for their turn

    def keep(self, answer: Answer[Request, Encoded], pending: Pending) -> None:
        """Keeps an answer for the next turn of its user. A request that reached no scorer needs that turn too."""
        if not isinstance(answer.result, NoScorer):
            pending.answer = answer
        self._answered[answer.user] = None

    def wanted(self) -> list[str]:
        """The users whose turn is wanted; each is named once."""
        users = list(self._answered)
        self._answered.clear()
        return users

    def hand_out(self, pending: Pending, state: bytes, actions: Actions) -> None:
        """Emits the user's answer if it is better than the emitted list, and sets a promise that checks whether it was
        committed. `state`: the user's."""
        answer, pending.answer = pending.answer, None
        if answer is None:
            return
        self._answered.pop(answer.user, None)
        newest, listed = order_of(answer.request.state) == order_of(state), listing(state)
        failed, is_out = isinstance(answer.result, Exception), listing(answer.request.state) != 0  # its fallback list
        if (listed == 0 and not (failed and is_out)) or (newest and listed == LISTED and not failed):
            if (encoded_list := self._emission.of(answer)) is None:
                pending.lose()
                return
            self._emission.emit([(encoded_list, answer.request)], actions.outputs)
        if newest:
            actions.state = mark_listed(state, SETTLED)
            actions.promise_ms = self._transactions.confirm_ms
            pending.soon = False  # it replaces the one at the deadline

    def lost(self, late_ms: int) -> bool:
        """Whether a list that is out may have been lost, as its promise that fires `late_ms` late must assume."""
        return self._transactions.gave_up(late_ms)

    def note_fallback(self, state: bytes, *, final: bool) -> bytes:
        """The state after its fallback list went out; `final`: the model is not asked again."""
        return mark_listed(state, SETTLED if final else LISTED)
