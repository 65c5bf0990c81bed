"""The history of a trainer: each record once whatever is killed, and nothing of those who were erased or refuse."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from model_export.follow.history import History
from model_export.follow.stored_records import EARLIER
from operators.configuration.shop_settings import EventSettings
from operators.errors import LiveshelfError
from operators.records.contracts import ERASURES, EVENTS, Erasure, encode_record
from tests.builders import NOW_MS, event
from tests.model_export.follow.shop import Death, FakeTopics, Killed, shown, walks

LIMITS = EventSettings()


def opened(folder: Path, events: int = 100_000) -> History:
    return History(folder, events, LIMITS)


def read(history: History, topics: FakeTopics) -> None:
    history.follow(topics.ids())
    for records, offsets in topics.read(history.offsets):
        history.take(records, offsets)


def ids(history: History) -> list[str]:
    return [stored.event.event_id for stored in history.events()]


def test_what_was_read_is_there_after_a_restart_and_is_not_read_again(tmp_path: Path) -> None:
    topics = FakeTopics(portion=7)
    topics.send(*walks(10))
    history = opened(tmp_path)
    read(history, topics)
    history.close()
    again = opened(tmp_path)
    assert again.offsets == history.offsets and [*topics.read(again.offsets)] == []
    topics.send(*walks(2, first=10))
    read(again, topics)
    assert ids(again) == [one.event_id for one in walks(12)]


@pytest.mark.parametrize("portion", [20, 1000])
def test_killed_at_any_write_it_holds_each_record_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portion: int
) -> None:
    topics = FakeTopics(portion=portion)
    topics.send(*walks(6))
    topics.append(ERASURES, "u2", encode_record(Erasure(user_id="u2")), NOW_MS - 1)
    expected = [one.event_id for one in walks(6)]
    for kill_at in range(1, 200):
        death = Death(kill_at)
        folder = tmp_path / f"{kill_at}"
        history = opened(folder)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", death.watches(lambda _: None))
            for name in ("replace", "unlink"):
                patched.setattr(Path, name, death.watches(getattr(Path, name)))
            try:
                read(history, topics)
                killed = False
            except Killed:
                killed = True
        history.close()
        again = opened(folder)
        read(again, topics)
        assert ids(again) == expected, f"killed at call {kill_at}"
        assert len([*folder.glob("segment-*")]) == len(again._state.segments)
        again.close()
        if not killed:
            break
    assert not killed and kill_at > 4


def test_an_erased_user_is_dropped_from_the_files_too(tmp_path: Path) -> None:
    topics, history = FakeTopics(), opened(tmp_path)
    topics.send(*walks(4))
    topics.show(shown("u1", "r1", "p1", 0), shown("u2", "r2", "p1", 0))
    read(history, topics)
    topics.append(ERASURES, "u1", encode_record(Erasure(user_id="u1")), NOW_MS + 10**7)
    read(history, topics)
    assert {stored.event.user_id for stored in history.events()} == {"u0", "u2", "u3"}
    assert [one.user_id for one in history.shown()] == ["u2"]
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"u2" in files and b"u1" not in files
    topics.send(event(user_id="u1", event_id="late", event_time=NOW_MS + 10**7 - 1))
    topics.send(event(user_id="u1", event_id="after", event_time=NOW_MS + 10**7 + 1))
    read(history, topics)
    assert [one for one in ids(history) if not one.startswith("w")] == ["after"]


def test_the_tombstone_over_an_erasure_erases_as_well(tmp_path: Path) -> None:
    """On a compacted topic it may be all that is left of the request."""
    topics, history = FakeTopics(), opened(tmp_path)
    topics.send(*walks(2))
    topics.append(ERASURES, "u1", None, NOW_MS + 10**7)
    read(history, topics)
    assert {stored.event.user_id for stored in history.events()} == {"u0"}


def test_a_refusal_forgets_and_holds_although_its_event_is_gone(tmp_path: Path) -> None:
    topics, history = FakeTopics(), opened(tmp_path)
    consent = {"kind": "consent", "user_id": "u1"}
    topics.send(*walks(2), event(1, event_id="no", context={"personalisation": "denied"}, **consent))
    read(history, topics)
    history.close()
    history = opened(tmp_path)
    topics.send(event(event_id="hidden", user_id="u1"))
    topics.show(shown("u1", "r1", "p1", 0))
    read(history, topics)
    assert {stored.event.user_id for stored in history.events()} == {"u0"} and history.shown() == []
    topics.send(event(2, event_id="yes", context={"personalisation": "granted"}, **consent))
    topics.send(event(3, event_id="seen", user_id="u1"))
    read(history, topics)
    assert [one for one in ids(history) if one in ("seen", "hidden")] == ["seen"]


@pytest.mark.parametrize("at_once", [False, True])
def test_an_erasure_keeps_a_refusal_from_before_it(tmp_path: Path, at_once: bool) -> None:
    """`at_once`: the erasure is read before the refusal, as it is while a trainer catches up."""
    topics, history = FakeTopics(), opened(tmp_path)
    consent = {"kind": "consent", "user_id": "u1"}
    topics.send(*walks(2), event(1, event_id="no", context={"personalisation": "denied"}, **consent))
    if not at_once:
        read(history, topics)
    topics.append(ERASURES, "u1", encode_record(Erasure(user_id="u1")), NOW_MS + 2000)
    if not at_once:
        read(history, topics)
    topics.send(event(3, event_id="hidden", user_id="u1"))
    read(history, topics)
    assert {stored.event.user_id for stored in history.events()} == {"u0"}
    topics.send(event(4, event_id="yes", context={"personalisation": "granted"}, **consent))
    topics.send(event(5, event_id="seen", user_id="u1"))
    read(history, topics)
    assert [one for one in ids(history) if one in ("seen", "hidden")] == ["seen"]


def test_an_example_from_before_a_refusal_stays_out_after_the_grant(tmp_path: Path) -> None:
    """While a trainer catches up, examples are read after all events: the refusal is over by then."""
    topics, history = FakeTopics(), opened(tmp_path)
    consent = {"kind": "consent", "user_id": "u1"}
    for second, word in ((1, "denied"), (2, "granted")):
        topics.send(event(second, event_id=word, context={"personalisation": word}, **consent))
    topics.show(shown("u1", "r1", "p1", 0), shown("u2", "r2", "p1", 0))
    read(history, topics)
    assert [one.user_id for one in history.shown()] == ["u2"]


def test_bad_records_impressions_and_organic_examples_are_counted(tmp_path: Path) -> None:
    topics, history = FakeTopics(), opened(tmp_path)
    topics.append(EVENTS, "u1", b"no event", NOW_MS)
    topics.send(event(kind="impression", items=["p1"]))
    topics.show(replace(shown("u1", "r", "p1", 0), organic=True, recommendation_id=None, position=None))
    read(history, topics)
    assert ids(history) == [] and dict(history.counts) == {"bad": 1, "impression": 1, "organic": 1}
    assert sum(history.offsets[EVENTS].values()) == 2, "they are not read again"


def test_the_oldest_events_go_when_there_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_export.follow.history.SMALL", 1)
    topics, history = FakeTopics(portion=8), opened(tmp_path, events=40)
    topics.send(*walks(10))
    read(history, topics)
    assert history.event_count == 40 and history.counts["too_old"] == 40


@pytest.mark.parametrize("small", [1, 5000])
@pytest.mark.parametrize("portion", [50, 1000])
def test_examples_push_no_event_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portion: int, small: int) -> None:
    """A trainer that catches up reads all events, then all examples: a list has twenty, and most belong to no event."""
    monkeypatch.setattr("model_export.follow.history.SMALL", small)
    topics, history = FakeTopics(portion=portion), opened(tmp_path, events=40)
    topics.send(*walks(10))
    topics.show(*(shown(f"u{user}", "r", f"p{place}", place) for user in range(10) for place in range(40)))
    read(history, topics)
    newest = [one.event_id for one in walks(10)]
    assert history.event_count == 40 and {*ids(history)} <= {*newest} and len(history.shown()) == 160
    assert history.counts["too_old"] == 40 and history.counts["too_old_example"] == 240
    topics.show(*(shown("u1", "later", f"p{place}", place) for place in range(40)))
    read(history, topics)
    assert history.event_count == 40 and len(history.shown()) == 160
    assert sum(one.recommendation_id == "later" for one in history.shown()) == 40, "the oldest ones go"


def test_a_topic_that_was_created_anew_is_read_from_its_start(tmp_path: Path) -> None:
    topics, history = FakeTopics(), opened(tmp_path)
    topics.send(*walks(3))
    read(history, topics)
    topics.create_anew()
    topics.send(*walks(9, first=2))  # longer than the old one, so that no offset tells; it has a shopper of the old one
    read(history, topics)
    history.close()
    again = opened(tmp_path)
    read(again, topics)
    assert ids(again) == [one.event_id for one in walks(11)]
    earlier = {one.event.user_id for one in again.events() if one.partition == EARLIER}
    assert earlier == {"u0", "u1"} and sum(again.offsets[EVENTS].values()) == 72


def test_a_correction_replaces_its_example(tmp_path: Path) -> None:
    topics, history = FakeTopics(), opened(tmp_path)
    topics.show(shown("u1", "r1", "p1", 0), shown("u1", "r1", "p1", 0, "purchase", revision=1))
    read(history, topics)
    assert [(one.revision, one.taken_up) for one in history.shown()] == [(1, True)]


def test_two_trainers_cannot_share_a_folder(tmp_path: Path) -> None:
    history = opened(tmp_path)
    with pytest.raises(LiveshelfError, match="one trainer"):
        opened(tmp_path)
    history.close()
    opened(tmp_path).close()


def test_a_damaged_state_is_said(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(LiveshelfError, match="state of a trainer's history"):
        opened(tmp_path)
