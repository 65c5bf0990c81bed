"""Erasures, identified guests and refused consent: nothing that waited goes out."""

from tests.operators.feedback.shopper import HOUR, MINUTE, Shopper, served

DENIED, GRANTED = {"personalisation": "denied"}, {"personalisation": "granted"}


def waiting() -> Shopper:
    shopper = Shopper().gets(served("r1")).gets(served("r2")).sees("i1", "i2")
    return shopper.does("click", "i2", recommendation_id="r1").does("click", "i3", recommendation_id="r3")


def test_an_erasure_drops_what_waits_and_writes_nothing() -> None:
    shopper = waiting().forgotten(epoch=6)
    assert shopper.waits_out().values == []
    assert shopper.counts["forgotten_list"] == 3
    assert b"i1" not in (shopper.state or b"") and len(shopper.state or b"") < 40


def test_a_late_event_and_a_late_list_from_before_an_erasure_stay_out() -> None:
    shopper = waiting().after(MINUTE).forgotten(epoch=6)
    shopper.does("click", "i2", recommendation_id="r1", since=-MINUTE).gets(served("r2", epoch=5))
    assert shopper.waits_out().values == []
    assert shopper.counts["erased"] == 2


def test_after_an_erasure_new_lists_give_examples() -> None:
    shopper = waiting().forgotten(epoch=6).after(MINUTE)
    shopper.gets(served("r9", epoch=6)).sees("i1", name="r9").waits_out()
    assert [(e.recommendation_id, e.source) for e in shopper.examples] == [("r9", "model")]


def test_an_erasure_forgets_which_lists_were_closed() -> None:
    shopper = Shopper().sees("i1").waits_out().at(25 * HOUR)
    shopper.sees("i1")
    assert shopper.counts["closed_list"] == 1
    shopper.forgotten().after(MINUTE).sees("i1")
    assert shopper.counts["closed_list"] == 1


def test_an_erasure_of_which_the_state_knows_a_later_one_takes_nothing_back() -> None:
    shopper = Shopper().after(HOUR).forgotten(epoch=6)
    shopper.now = 0
    assert shopper.forgotten(epoch=4).gets(served("r1", epoch=5)).counts["erased"] == 1


def test_a_refusal_drops_what_waits_and_nothing_follows_until_a_grant() -> None:
    shopper = waiting().does("consent", context=DENIED)
    shopper.gets(served("r4")).sees("i1", name="r4").does("click", "i1", recommendation_id="r4").does("click", "i5")
    assert shopper.waits_out().values == []
    assert (shopper.counts["forgotten_list"], shopper.counts["refused_consent"]) == (3, 4)
    shopper.does("consent", context=GRANTED).gets(served("r5")).sees("i1", name="r5").waits_out()
    assert [e.recommendation_id for e in shopper.examples] == ["r5"]


def test_a_refusal_survives_an_erasure_and_a_restart() -> None:
    shopper = Shopper().does("consent", context=DENIED).after(MINUTE).forgotten(epoch=9).restart().after(MINUTE)
    assert shopper.sees("i1").does("click", "i1").waits_out().values == []


def test_a_consent_of_another_purpose_changes_nothing() -> None:
    shopper = Shopper().gets(served()).does("consent", context={"newsletter": "denied"}).sees("i1").waits_out()
    assert shopper.labels() == {"i1": "none"}


def test_a_refusal_comes_before_the_windows_that_its_time_closes() -> None:
    shopper = Shopper().gets(served()).sees("i1")
    shopper.timers.clear()  # as if the timer's thread were late
    shopper.at(31 * MINUTE).does("consent", context=DENIED).waits_out()
    assert shopper.values == []
