"""Defects to plant in a true history, by the count that must show them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from operators.records.contracts import ERASURES
from operators.refresh.refresh_records import DIGEST_HEADER
from tests.benchmarks.history import ERASED, LATE_MS, STRUCK_S, TAG, History, WrittenList, letter
from tests.builders import NOW_MS

USER = f"{TAG}1"


def last(history: History, user: str = USER) -> WrittenList:
    return history.of(user)[-1]


def swap(history: History, user: str, first: int, second: int) -> None:
    """Two lists of a user change places, each as fresh as the other one was."""
    lists = history.of(user)
    for old, new in ((lists[first], lists[second]), (lists[second], lists[first])):
        event_time = NOW_MS + int(old.at_ms) - LATE_MS
        changed = history.changed(
            replace(new, at_ms=old.at_ms), lambda body, event_time=event_time: body.update(event_time=event_time)
        )
        history.lists[history.lists.index(old)] = changed


def renumber(step: int) -> Callable[[dict[str, Any]], object]:
    return lambda body: body.update(version=body["version"] + step)


def miss_an_event(history: History) -> None:
    missing = next(
        event for event in history.events if event.offset == 199
    )  # the last of `t-9`, whose list is gone with it
    history.events = [event for event in history.events if event is not missing]
    history.lists.remove(last(history, f"{TAG}9"))
    history.observed["acknowledged"] = history.row().events - 3 + 1


def lose_a_list(history: History) -> None:
    history.lists.remove(last(history))


def lose_all_lists_of_a_user(history: History) -> None:
    history.lists = [written for written in history.lists if written.record.key.decode() != USER]


def count_an_event_twice(history: History) -> None:
    index = history.lists.index(last(history))
    history.lists[index] = history.changed(history.lists[index], renumber(1))


def go_beyond_in_the_middle(history: History) -> None:
    """Another job's list: a version that no event makes, with the right ones after it."""
    index = history.lists.index(history.of(USER)[-2])
    history.lists[index] = history.changed(history.lists[index], renumber(100))


def list_somebody_who_sent_nothing(history: History) -> None:
    phantom = replace(last(history), record=replace(last(history).record, key=f"{TAG}nobody".encode()))
    history.lists.append(history.changed(phantom, lambda body: body.update(user_id=f"{TAG}nobody")))


def list_under_anothers_key(history: History) -> None:
    index = history.lists.index(last(history))
    history.lists[index] = history.changed(history.lists[index], lambda body: body.update(user_id=f"{TAG}2"))


def make_a_list_of_another_state(history: History) -> None:
    index = history.lists.index(last(history))
    record = replace(last(history).record, headers=((DIGEST_HEADER, b"another"),))
    history.lists[index] = replace(last(history), record=record)


def end_with_an_older_list(history: History) -> None:
    swap(history, USER, -2, -1)


def list_an_erased_user_below_the_tombstone(history: History) -> None:
    history.lists.append(history.of(ERASED)[-2])


def leave_an_erased_users_list(history: History) -> None:
    history.lists = [
        written for written in history.lists if written.record.value or written.record.key.decode() != ERASED
    ]


def change_a_score(history: History) -> None:
    index = history.lists.index(last(history))
    history.lists[index] = history.changed(history.lists[index], lambda body: body["items"][0].update(score=0.123))


def change_an_item(history: History) -> None:
    index = history.lists.index(last(history))
    history.lists[index] = history.changed(history.lists[index], lambda body: body["items"].pop())


def stay_slow_after_the_fault(history: History) -> None:
    history.lists = [
        replace(written, at_ms=written.at_ms + 900) if written.at_ms > 1000 * STRUCK_S else written
        for written in history.lists
    ]


def write_a_list_twice(history: History) -> None:
    history.lists.append(last(history))


def fall_in_the_middle(history: History) -> None:
    swap(history, USER, 3, 4)


def leave_a_transaction_open(history: History) -> None:
    history.observed["open_transactions"] = 1


def lose_a_letter(history: History) -> None:
    history.letters.pop()


def refuse_a_good_record(history: History) -> None:
    history.letters.append(letter(history.events[0], "not_json"))


def refuse_for_another_reason(history: History) -> None:
    history.letters[0] = letter(history.letters_wanted()[0], "internal_error")


def change_a_letters_value(history: History) -> None:
    history.letters[0] = replace(history.letters[0], value=b"other")


def take_a_letter_of_another_topic_for_it(history: History) -> None:
    history.letters[0] = letter(replace(history.letters_wanted()[0], topic=ERASURES), "not_json")


def write_a_letter_twice(history: History) -> None:
    history.letters.append(history.letters[0])


Plant = Callable[[History], None]


PLANTED: dict[str, tuple[Plant, ...]] = {
    "events_missing": (miss_an_event,),
    "lost": (lose_a_list, lose_all_lists_of_a_user),
    "counted_twice": (count_an_event_twice, go_beyond_in_the_middle),
    "phantoms": (list_somebody_who_sent_nothing, list_under_anothers_key),
    "mismatched": (make_a_list_of_another_state,),
    "ends_wrong": (end_with_an_older_list, list_an_erased_user_below_the_tombstone),
    "erased_listed": (leave_an_erased_users_list,),
    "scores_differ": (change_a_score, change_an_item),
    "dead_letters_wrong": (
        lose_a_letter, refuse_a_good_record, refuse_for_another_reason, change_a_letters_value,
        take_a_letter_of_another_topic_for_it,
    ),
    "not_fresh_again": (stay_slow_after_the_fault,),
    "written_twice": (write_a_list_twice,),
    "fell": (fall_in_the_middle,),
    "open_transactions": (leave_a_transaction_open,),
}  # fmt: skip


# a defect that shows in two counts: the check of each is tested with the other one taken away
ALSO = {
    go_beyond_in_the_middle: {"fell", "ends_wrong"},
    end_with_an_older_list: {"fell"},
    list_an_erased_user_below_the_tombstone: {"written_twice"},
    leave_an_erased_users_list: {"ends_wrong"},
}


CASES = [(name, plant) for name, plants in PLANTED.items() for plant in plants]
