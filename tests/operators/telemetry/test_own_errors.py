"""The operator when Liveshelf's own code fails: no restart, no event lost, and nobody else blamed."""

import pytest

from operators.shopper.user_state import version_of
from tests.operators.refresh.test_refresh_logic import Operator, job, lists

__all__ = ["job"]


def test_a_record_that_breaks_our_own_code_changes_nothing_and_is_not_called_the_shops_fault(
    job: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    job.state["u1"] = b"\x63garbage"
    for _ in range(3):
        (letter,) = job.event()
        assert letter.headers is not None
        assert letter.headers["__connect.errors.exception.class.name"] == b"internal_error"
        assert b"repair the record" not in letter.headers["__connect.errors.exception.message"]
    assert job.state["u1"] == b"\x63garbage"
    assert job.sensors.own_errors == ["record"] * 3
    (said,) = caplog.records
    assert said.exc_info is not None and "LiveshelfError" in said.getMessage()


class Broken(RuntimeError):
    """A bug."""


def breaks(*_: object, **__: object) -> None:
    raise Broken


def test_an_event_that_cannot_be_handed_on_counts_and_its_promise_sees_to_the_list(
    job: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(job.batcher, "submit", breaks)
        assert job.event() == []
    assert version_of(job.state["u1"]) == 1, "applied, and so no dead letter"
    assert job.sensors.own_errors == ["submit"]
    assert lists(job.fire()) == [("u1", 1, "neighbours")]
    job.fire()
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 1, "model")]
    assert job.promises == {}


def test_a_fallback_that_fails_costs_no_restart_and_is_tried_again_less_and_less_often(
    job: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    job.event("u1")
    job.event("u2")
    with monkeypatch.context() as patch:
        patch.setattr(job.lists, "make_encoded", breaks)
        patch.setattr(job.lists, "encoded_fallback", breaks)
        job.batcher.run_once()
        assert job.read("anyone", None)[0].kind == "dead"
        assert job.sensors.own_errors == ["fallback", "fallback"]
        waits = []
        for _ in range(15):
            assert job.fire("u1") == []
            waits.append(job.promises["u1"])
        usual = job.settings.retry_after_ms
        assert waits[:3] == [usual, 2 * usual, 4 * usual] and waits[-1] == 3_600_000
    assert lists(job.fire("u1")) == [("u1", 1, "neighbours")]
    assert lists(job.fire("u2")) == [("u2", 1, "neighbours")]
    job.fire("u1")
    job.batcher.run_once()
    assert lists(job.fire("u1")) == [("u1", 1, "model")]


def test_a_list_goes_out_though_it_cannot_be_counted(job: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job.sensors, "on_lists", breaks)
    job.event()
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 1, "model")]
    assert job.sensors.own_errors == ["sensors"]
