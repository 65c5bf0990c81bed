"""Impressions and outcomes of a user -> examples. Pure but for the clocks of the partitions.

A list that went out waits for its impression, and a list that was shown waits for outcomes. When the click window of an
item has closed, its example goes out with the best outcome so far; a better one within the purchase window corrects it.
docs/feedback.md has the rules.

                 impression, outcome             click window closed            purchase window closed
    unseen ────────────────────────────> open ──────────────────────> written ────────────────────────> closed
                                                                       │    ^
                                                                       └────┘ better outcome: next revision
"""

from collections.abc import Sequence

from operators.feedback.example_writer import written_organic
from operators.feedback.join_limits import Limits, Windows
from operators.feedback.join_records import Forgotten, Joined, JoinTurn, Stamp
from operators.feedback.join_state import JoinState, PackedList
from operators.feedback.partition_clocks import PartitionClocks
from operators.feedback.served_record import list_hash, read_head, read_served
from operators.feedback.waiting_list import LABELS, MAX_IMPRESSIONS, MAX_ITEMS, Impression, WaitingList
from operators.records.contracts import Event, items_named
from operators.shopper.user_state import consent_of, is_return

OUTCOMES: dict[str, int] = {label: place for place, label in enumerate(LABELS) if place}
# an idle partition writes examples by the wall clock after so long: if a record comes after all, it corrects them. A list is
# dropped only after a silence as long as its window
QUIET_MS = 5000
MOST_REVENUE = 1e9  # of one purchase that a metric counts
SLACK_MS = 1000  # a timer that is set already may be so much later than a new one would be


class FeedbackJoin:
    """One instance a subtask; all calls come from its task thread, for each user in the order of the records.

    Each call takes the user's state and the processing time (epoch ms), and returns the state after it.
    """

    def __init__(self, windows: Windows, clocks: PartitionClocks, limits: Limits | None = None) -> None:
        self._windows, self._clocks, self._limits = windows, clocks, limits or Limits()

    def on_served(self, user: str, state: bytes | None, served: bytes, now_ms: int) -> Joined:
        """A list went out; `served`: the record of `pack_served`."""
        turn, head = JoinTurn(user, JoinState.read(state), now_ms), read_head(served)
        id_hash = list_hash(head.recommendation_id)
        if turn.state.refused:
            turn.counts["refused_consent"] += 1
        elif head.epoch < turn.state.epoch:
            turn.counts["erased"] += 1
        elif not turn.state.is_closed(id_hash):
            self._serve(turn, id_hash, head.recommendation_id, head.generated_at, served)
        return self._joined(turn, state)

    def on_event(self, user: str, state: bytes | None, event: Event, stamp: Stamp, now_ms: int) -> Joined:
        """An accepted event of any type, with `event_time` as epoch ms."""
        self._clocks.read(stamp.partition, stamp.broker_ms, now_ms)
        turn = JoinTurn(user, JoinState.read(state), now_ms)
        consent, kind = consent_of(event), event.event_type
        if consent is False:
            self._forget(turn)
            turn.state.refused = True
            return self._joined(turn, state)
        self._close_windows(turn)
        if consent:
            turn.state.refused = False
        elif kind == "impression" or kind in OUTCOMES:
            if int(event.event_time) <= turn.state.erased_ms:
                turn.counts["erased"] += 1
            elif turn.state.refused:
                turn.counts["refused_consent"] += 1
            elif kind == "impression":
                self._show(turn, event, stamp)
            else:
                self._act(turn, event, stamp)
        return self._joined(turn, state)

    def on_forgotten(self, user: str, state: bytes | None, forgotten: Forgotten, now_ms: int) -> Joined:
        """Drops all that waits; writes nothing. A refusal of consent stays."""
        turn = JoinTurn(user, JoinState.read(state), now_ms)
        self._forget(turn)
        turn.state.erased_ms = max(turn.state.erased_ms, forgotten.broker_ms)
        turn.state.epoch = max(turn.state.epoch, forgotten.epoch)
        return self._joined(turn, state)

    def on_timer(self, user: str, state: bytes | None, now_ms: int) -> Joined:
        """A timer of the user fired."""
        turn = JoinTurn(user, JoinState.read(state), now_ms)
        if now_ms >= turn.state.wake_ms:  # else an earlier one replaced it
            turn.state.wake_ms = 0
            self._close_windows(turn)
        return self._joined(turn, state)

    def _serve(self, turn: JoinTurn, id_hash: int, name: str, generated_at: int, served: bytes) -> None:
        """Keeps a list. The same list again, which the job makes after a restart, replaces it while nobody has seen it."""
        place = turn.state.place_of(id_hash)
        if place is None or not turn.state.lists[place].items:
            self._put(turn, WaitingList(name, served).pack(generated_at))
        elif (waiting := WaitingList.read(turn.state.lists[place])).served is None:
            waiting.served = served  # the list came after an event that names it
            self._put(turn, waiting.pack())

    def _show(self, turn: JoinTurn, event: Event, stamp: Stamp) -> None:
        if not event.recommendation_id:
            turn.counts["impression_without_list"] += 1
            return
        waiting = self._list_of(turn, event.recommendation_id, "closed_list")
        if waiting is None:
            return
        if len(waiting.impressions) >= MAX_IMPRESSIONS:
            turn.counts["too_many_impressions"] += 1
            return
        waiting.partition = stamp.partition
        items, start = items_named(event), max(0, event.position or 0)
        if self._has_too_many(turn, waiting, items):
            return
        turn.count_for_arms(waiting, "impression", (item_id for item_id in items if not waiting.has_shown(item_id)))
        new = waiting.show(items, start, _impression(event, stamp, missing=False))
        turn.counts["repeated_impression"] += not new
        self._keep(turn, waiting)

    def _act(self, turn: JoinTurn, event: Event, stamp: Stamp) -> None:
        label = OUTCOMES[event.event_type]
        if is_return(event):
            turn.counts["return"] += 1
            return
        if not event.recommendation_id:
            examples = [*written_organic(event, label)]
            turn.examples += examples
            turn.counts["organic"] += len(examples)
            return
        waiting = self._list_of(turn, event.recommendation_id, "outside_window")
        if waiting is None:
            return
        if not waiting.items:
            waiting.partition = stamp.partition
        outcome, items = _impression(event, stamp, missing=True), items_named(event)
        sent = event.position if len(items) == 1 else None
        if self._has_too_many(turn, waiting, items):
            return
        if len(waiting.impressions) >= MAX_IMPRESSIONS and any(item_id not in waiting.items for item_id in items):
            turn.counts["too_many_impressions"] += 1
            return
        better = list[str]()  # items with an impression whose outcome is the best so far
        for item_id, position in zip(items, _positions(waiting, items, sent), strict=True):
            may_count = waiting.has_shown(item_id) and waiting.items[item_id].label < label
            if not waiting.act(item_id, label, position, outcome, self._windows):
                turn.counts["outside_window"] += 1
            elif may_count:
                better.append(item_id)
        turn.count_for_arms(waiting, event.event_type, better, _revenue(event, items))
        self._keep(turn, waiting)

    def _has_too_many(self, turn: JoinTurn, waiting: WaitingList, items: Sequence[str]) -> bool:
        """Whether an event would give a list more items than it can have; counted."""
        too_many = len(waiting.items.keys() | items) > MAX_ITEMS
        turn.counts["too_many_items"] += too_many
        return too_many

    def _list_of(self, turn: JoinTurn, name: str, if_closed: str) -> WaitingList | None:
        """The list that an event names; None if its windows have closed, counted as `if_closed`."""
        id_hash = list_hash(name)
        if (place := turn.state.place_of(id_hash)) is not None:
            return WaitingList.read(turn.state.lists[place])
        if turn.state.is_closed(id_hash):
            turn.counts[if_closed] += 1
            return None
        turn.counts["unknown_list"] += 1
        return WaitingList(name)

    def _keep(self, turn: JoinTurn, waiting: WaitingList) -> None:
        """Writes corrections, and puts the list back."""
        turn.write(waiting, [item for item in waiting.items.values() if item.changed and item.written])
        self._put(turn, waiting.pack())

    def _forget(self, turn: JoinTurn) -> None:
        turn.counts["forgotten_list"] += len(turn.state.lists)
        turn.state.lists, turn.state.closed = [], []

    def _close_windows(self, turn: JoinTurn) -> None:
        """Writes the examples whose click window has closed, and drops the lists whose purchase window has."""
        purchase_ms, unseen_ms = self._windows.purchase_ms, self._windows.unseen_ms
        waiting_lists, turn.state.lists, partition = turn.state.lists, [], -1
        for packed in waiting_lists:
            if packed.items and packed.partition != partition:
                partition = packed.partition
                shown_until = self._shown_until(partition, turn.now_ms)
                purchased_until = self._clocks.closed_until(partition, purchase_ms, turn.now_ms) - purchase_ms
            if not packed.items:
                if turn.now_ms - packed.last_ms > unseen_ms:
                    turn.counts["unseen_list"] += 1
                    continue
            elif packed.last_ms < purchased_until:
                self._close(turn, packed)
                continue
            elif 0 < packed.open_ms < shown_until:
                packed = self._write_due(turn, packed, shown_until)
            turn.state.lists.append(packed)

    def _shown_until(self, partition: int, now_ms: int) -> float:
        """The broker's time before which items must have been shown if their click window has closed."""
        click_ms = self._windows.click_ms
        return self._clocks.closed_until(partition, min(click_ms, QUIET_MS), now_ms) - click_ms

    def _write_due(self, turn: JoinTurn, packed: PackedList, shown_until: float) -> PackedList:
        waiting = WaitingList.read(packed)
        due = [shown.broker_ms < shown_until for shown in waiting.impressions]
        turn.write(waiting, [item for item in waiting.items.values() if not item.written and due[item.first]])
        return waiting.pack()

    def _close(self, turn: JoinTurn, packed: PackedList) -> None:
        """Writes what was not written as it stands, and remembers the list's id."""
        waiting = WaitingList.read(packed)
        turn.write(waiting, [item for item in waiting.items.values() if not item.written])
        turn.state.close(packed.id_hash, self._limits.closed)

    def _put(self, turn: JoinTurn, packed: PackedList) -> None:
        """Puts a list into its place, or at the end, and drops the oldest ones beyond the limits."""
        place, turn.next_look_ms = turn.state.place_of(packed.id_hash), self._look_ms(packed, turn.now_ms)
        if place is None:
            turn.state.lists.append(packed)
        else:
            turn.state.lists[place] = packed
        if packed.items:
            self._evict_shown(turn)
        elif place is None:
            self._evict_unseen(turn)

    def _evict_unseen(self, turn: JoinTurn) -> None:
        unseen = [packed for packed in turn.state.lists if not packed.items]
        for packed in unseen[: max(0, len(unseen) - self._limits.unseen)]:
            turn.state.lists.remove(packed)
            turn.counts["unseen_list"] += 1

    def _evict_shown(self, turn: JoinTurn) -> None:
        """The examples of a list that falls out go out as they stand."""
        state, limits = turn.state, self._limits
        shown = [packed for packed in state.lists if packed.items]
        items = sum(packed.items for packed in shown)
        while shown and (len(shown) > limits.lists or items > limits.items or state.size > limits.size):
            packed = min(shown, key=lambda packed: packed.last_ms)
            shown.remove(packed)
            state.lists.remove(packed)
            items -= packed.items
            self._close(turn, packed)
            turn.counts["evicted_list"] += 1

    def _joined(self, turn: JoinTurn, before: bytes | None) -> Joined:
        """The result of an input, with the next timer. While one is set, only a list that the input changed can need an
        earlier one."""
        state, wake_ms, next_ms = turn.state, None, turn.next_look_ms
        if not state.wake_ms:
            looks = [self._look_ms(packed, turn.now_ms) for packed in state.lists]
            next_ms = min((look_ms for look_ms in looks if look_ms is not None), default=None)
        if next_ms is not None and not 0 < state.wake_ms <= next_ms + SLACK_MS:
            state.wake_ms = wake_ms = next_ms
        after = state.pack()
        return Joined(before if after == before else after, turn.examples, +turn.counts, wake_ms, turn.of_arms)

    def _look_ms(self, packed: PackedList, now_ms: int) -> int | None:
        """When to look at a list: only while an example of it is due. Other lists are dropped at the user's next event, or
        with the user's state: a timer of a day for each shopper would fill the heap."""
        if not packed.open_ms:
            return None
        click_ms = self._windows.click_ms
        return self._clocks.look_ms(packed.partition, packed.open_ms + click_ms, min(click_ms, QUIET_MS), now_ms)


def _impression(event: Event, stamp: Stamp, *, missing: bool) -> Impression:
    return Impression(int(event.event_time), stamp.broker_ms, event.placement or None, missing)


def _revenue(event: Event, items: Sequence[str]) -> float:
    """Of a purchase of one item. A basket's price is not any single item's."""
    if event.event_type != "purchase" or event.price is None or len(items) != 1:
        return 0.0
    return max(0.0, min(event.price * (1.0 if event.quantity is None else event.quantity), MOST_REVENUE))


def _positions(waiting: WaitingList, items: Sequence[str], sent: int | None) -> list[int | None]:
    """The position of each item that no impression showed: as `sent` with the outcome, else its place on the list."""
    if sent is not None or waiting.served is None or all(item_id in waiting.items for item_id in items):
        return [sent] * len(items)
    served = read_served(waiting.served)
    return [served.place_of(item_id) for item_id in items]
