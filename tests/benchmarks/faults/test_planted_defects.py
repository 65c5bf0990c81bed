"""The checkers tested: one defect in a true history, and the check that must find it; for every count that is judged."""

import copy
from dataclasses import fields, replace

import pytest

from benchmarks.faults.evidence import Strike
from benchmarks.faults.observer import ReaderView
from benchmarks.faults.verdict import EXACTLY_ONCE, JUDGED, RESTS_ON, Row, Verdict, as_dict
from tests.benchmarks.fakes import Record
from tests.benchmarks.faults.planted_defects import (
    ALSO,
    CASES,
    PLANTED,
    USER,
    Plant,
    last,
    lose_a_letter,
    take_a_letter_of_another_topic_for_it,
    write_a_letter_twice,
)
from tests.benchmarks.history import LATE_MS, RETURNED, STRUCK_S, TAG, History, known_bundle


@pytest.fixture(scope="module")
def true_history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return History(known_bundle(tmp_path_factory.mktemp("known") / "bundle"))


@pytest.fixture
def history(true_history: History) -> History:
    """Of its own; the records in it are frozen by nobody, so they are copied."""
    copied_history = copy.copy(true_history)
    copied_history.lists, copied_history.letters, copied_history.strikes, copied_history.observed = (
        [*copied_history.lists],
        [*copied_history.letters],
        [*copied_history.strikes],
        {},
    )
    return copied_history


def counts(row: Row) -> dict[str, int]:
    """What is judged and not 0."""
    return {name: getattr(row, name) for name in (*JUDGED, *EXACTLY_ONCE) if getattr(row, name)}


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_a_true_history_is_kept(history: History, delivery: str) -> None:
    history.delivery = delivery
    row = history.row()
    assert counts(row) == {} and row.unknown == {} and row.verdict is Verdict.KEPT
    assert None not in [getattr(row, field_of_row.name) for field_of_row in fields(Row)]
    assert (row.users, row.dead_letters, row.fallback_lists) == (12, 2, 0)
    assert row.struck == "kill taskmanager: pid 1 gone, then pid 2"
    assert row.recovery_s == 0.0 and row.silence_s is not None and row.silence_s < 1
    assert as_dict(row)["verdict"] == "kept"


def test_every_count_that_is_judged_has_a_planted_defect() -> None:
    assert PLANTED.keys() == {*JUDGED, *EXACTLY_ONCE}
    assert {*JUDGED, *EXACTLY_ONCE} <= {field_of_row.name for field_of_row in fields(Row)}


@pytest.mark.parametrize(("name", "plant"), CASES, ids=[plant.__name__ for _, plant in CASES])
def test_a_planted_defect_is_found_by_its_check(history: History, name: str, plant: Plant) -> None:
    history.delivery = "exactly-once"
    plant(history)
    row = history.row()
    # a letter of another topic is one of a good record, and that of the bad record is missing
    assert getattr(row, name) == 1 + (plant is take_a_letter_of_another_topic_for_it), as_dict(row)
    assert row.verdict is Verdict.BROKEN
    assert counts(row).keys() - {name} == ALSO.get(plant, set())
    row_without_others = replace(row, **dict.fromkeys(counts(row).keys() - {name}, 0))
    assert (
        row_without_others.verdict is Verdict.BROKEN
        and replace(row_without_others, **{name: 0}).verdict is Verdict.KEPT
    )


@pytest.mark.parametrize("name", EXACTLY_ONCE)
def test_at_least_once_allows_what_readers_put_right(history: History, name: str) -> None:
    PLANTED[name][0](history)
    row = history.row()
    assert counts(row) == {name: 1} and row.verdict is Verdict.KEPT


def test_a_second_letter_of_a_record_breaks_exactly_once_alone(history: History) -> None:
    write_a_letter_twice(history)
    assert history.row().verdict is Verdict.KEPT
    history.delivery = "exactly-once"
    assert counts(history.row()) == {"dead_letters_wrong": 1}


# what was not read


@pytest.mark.parametrize("source", RESTS_ON)
def test_a_count_that_rests_on_what_was_not_read_is_unknown_and_no_0(history: History, source: str) -> None:
    history.delivery = "exactly-once"
    history.observed["incomplete"] = {"letters": [], source: ["the end was not read", "twice"]}
    row = history.row()
    for name in RESTS_ON[source]:
        assert getattr(row, name) is None and row.unknown[name] == "the end was not read; twice"
    independent = {field_of_row.name for field_of_row in fields(Row)} - RESTS_ON[source]
    assert None not in [getattr(row, name) for name in independent]
    assert row.verdict is (Verdict.KEPT if source == "job" else Verdict.UNKNOWN)


def test_every_count_rests_on_something() -> None:
    counts_of_row = {field_of_row.name for field_of_row in fields(Row)} - {
        "name", "seed", "delivery", "struck", "unknown", "note", "seconds_p95",
    }  # fmt: skip
    assert counts_of_row == {name for names in RESTS_ON.values() for name in names}


def test_what_is_known_to_be_broken_stays_broken_where_other_things_are_unknown(history: History) -> None:
    lose_a_letter(history)
    history.observed["incomplete"] = {"lists": ["the end was not read"]}
    row = history.row()
    assert (row.lost, row.dead_letters_wrong, row.verdict) == (None, 1, Verdict.BROKEN)


def test_a_fault_that_nothing_shows_makes_the_trial_unknown(history: History) -> None:
    history.strikes.append(Strike("pause kafka", "", STRUCK_S, STRUCK_S))
    history.strikes.append(
        Strike("kill scorer", "", STRUCK_S, STRUCK_S, failure="it could not be done: StopIteration()")
    )
    row = history.row()
    assert row.verdict is Verdict.UNKNOWN and counts(row) == {}
    assert row.unknown == {
        "struck": "pause kafka: nothing shows that it struck; kill scorer: it could not be done: StopIteration()"
    }
    assert row.struck == "kill taskmanager: pid 1 gone, then pid 2"


def test_lists_that_name_no_state_are_compared_with_none(history: History) -> None:
    history.lists = [
        replace(written, record=replace(written.record, headers=())) if written.record.value else written
        for written in history.lists
    ]
    row = history.row()
    assert row.mismatched is None and "job.state_digests" in row.unknown["mismatched"]
    assert row.verdict is Verdict.UNKNOWN


def test_without_a_list_by_the_model_no_score_is_compared(history: History) -> None:
    history.lists = [
        history.changed(written, lambda body: body.update(source="popular")) if written.record.value else written
        for written in history.lists
    ]
    row = history.row()
    assert row.scores_differ is None and row.verdict is Verdict.UNKNOWN and row.fallback_lists == 205


def test_a_load_that_sent_nothing_tests_nothing(history: History) -> None:
    history.events, history.erasures, history.lists, history.letters, history.strikes = [], [], [], [], []
    history.observed["acknowledged"] = 0
    row = history.row()
    assert row.verdict is Verdict.UNKNOWN and set(row.unknown.values()) == {"the load sent nothing"}
    assert all(getattr(row, name) is None for name in JUDGED)


def test_lists_that_never_come_back_are_silent_until_the_end(history: History) -> None:
    history.lists = [written for written in history.lists if written.at_ms < 1000 * STRUCK_S]
    row = history.row()
    assert (row.not_fresh_again, row.recovery_s) == (1, None) and row.verdict is Verdict.BROKEN
    assert row.silence_s is not None and 10.9 < row.silence_s < 11.1
    assert row.seconds_p95[-2] is None
    history.lists = []
    row = history.row()
    assert row.not_fresh_again == 1 and row.silence_s == 11.0 and row.lost == 11


# what a reader keeps


def test_who_comes_back_after_an_erasure_has_the_new_events_alone(history: History) -> None:
    view = ReaderView(TAG.encode())
    for written in history.of(RETURNED):
        view.take(written.record, written.at_ms, written.at_ms)
    assert RETURNED in view.newest and RETURNED not in view.tombstoned


def test_a_list_below_a_tombstones_order_does_not_count_and_one_of_a_later_epoch_does(history: History) -> None:
    view = ReaderView(TAG.encode())
    old = history.changed(last(history), lambda body: body.update(epoch=4, version=20))

    def take(record: Record) -> None:
        view.take(record, 0.0, 0.0)

    take(old.record)
    take(Record(USER.encode(), None, (("liveshelf.order", b"5.2"),)))
    assert view.newest == {} and view.tombstoned == {USER}
    take(old.record)
    assert view.newest == {} and view.tombstoned == set() and view.version_falls == 0
    for version, epoch, newest in ((2, 5, None), (3, 5, (5, 3)), (1, 6, (6, 1)), (9, 5, (6, 1))):
        take(history.changed(old, lambda body, v=version, e=epoch: body.update(version=v, epoch=e)).record)  # type: ignore[misc]
        assert (view.newest[USER].order if USER in view.newest else None) == newest
    assert view.version_falls == 1 and view.greatest_orders[USER] == (6, 1)
    take(Record(USER.encode(), None))
    assert view.newest == {} and view.tombstoned == {USER}


def test_records_of_others_are_not_seen(history: History) -> None:
    view = ReaderView(b"another")
    for record in (last(history).record, Record(None, b"x"), Record(b"shop", None)):  # type: ignore[arg-type]
        view.take(record, 0.0, LATE_MS)
    assert view == ReaderView(b"another")
