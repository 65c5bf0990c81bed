"""Batches that a real scorer process has before it is asked for their answers."""

import os
import signal
import time
from pathlib import Path

import pytest

from operators.lists.encoded_list import Encoded
from operators.records.contracts import CatalogueItem
from pipelines.scoring.process import ScorerLost
from tests.builders import HANG_ITEM, write_faulty_bundle
from tests.pipelines.scoring.scorer_faults import write_python
from tests.pipelines.scoring.scorer_requests import Start, ask, asked, eight_items, items_of, pid_of, received
from tests.pipelines.scoring.shared.shared_machine import Machine
from tests.pipelines.scoring.test_scorer_catalogue import change

MANY = 5_000  # their states and their lists are larger than what the sockets hold


def test_batches_are_answered_in_their_order_however_large_they_are(start: Start, bundle: Path) -> None:
    process = start(bundle, kill_after_s=60)
    process.ready()
    users = [[f"{batch}-{number}" for number in range(MANY)] for batch in range(2)]
    for batch in users:
        process.send(asked(*batch))
    for batch in users:
        lists = received(process)
        assert len(lists) == MANY
        for user, made in zip(batch, lists, strict=True):
            assert isinstance(made, Encoded) and f'"user_id":"{user}"'.encode() in made.value


def test_a_batch_knows_the_catalogue_as_it_was_when_it_was_sent(start: Start, bundle: Path) -> None:
    process, rows = start(bundle), eight_items()
    process.ready()
    process.catalogue.attach(rows)
    process.send(asked("u1"))
    change(process, rows, "i3", CatalogueItem(item_id="i3", in_stock=False))
    process.send(asked("u1"))
    before, after = received(process), received(process)
    assert "i3" in items_of(before[0]) and "i3" not in items_of(after[0])


def test_where_the_process_dies_only_users_of_the_batch_that_it_scored_are_suspects(
    start: Start, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    process = start(write_faulty_bundle(tmp_path / "faulty"), kill_after_s=0.5)
    process.ready()
    process.send([*asked("guilty", item=HANG_ITEM), *asked("suspect")])
    process.send(asked("waits", "waits too", "and a third"))
    with pytest.raises(ScorerLost, match="no answer"):
        received(process)
    assert process.receive(0) is None, "the second is lost with the first"
    assert [items_of(made) for made in ask(process, asked("waits", "suspect"))]
    assert "the process died while 2 users were scored" in capfd.readouterr().out


def test_an_answer_that_came_while_the_operator_stood_still_counts(start: Start, bundle: Path) -> None:
    """Such as a machine that was paused for longer than a process may be silent."""
    process = start(bundle, kill_after_s=0.5)
    process.ready()
    process.send(asked("u1"))
    time.sleep(1)
    assert items_of(received(process)[0])


def test_the_time_of_a_batch_begins_with_the_answer_to_the_one_before(
    start: Start, bundle: Path, tmp_path: Path
) -> None:
    slow = write_python(tmp_path / "python", "slow", "import time; time.sleep(0.7)")
    process = start(bundle, kill_after_s=1.2, python=slow)
    process.ready()
    for _ in range(2):
        process.send(asked("slow"))
    begun = time.monotonic()
    assert items_of(received(process)[0]) and items_of(received(process)[0])
    assert time.monotonic() - begun > 1.3


def test_what_was_forgotten_answers_no_later_batch(start: Start, bundle: Path) -> None:
    process = start(bundle)
    process.ready()
    process.send(asked("forgotten"))
    process.forget()
    (made,) = ask(process, asked("u1", item="i5"))
    assert isinstance(made, Encoded) and b'"user_id":"u1"' in made.value
    first = pid_of(process)
    process.forget()
    assert items_of(ask(process, asked("u1"))[0]) and pid_of(process) == first, "nothing was in flight"


def test_a_death_is_known_before_anybody_asks(start: Start, bundle: Path) -> None:
    process = start(bundle)
    process.ready()
    assert process.receive(0) is None
    os.kill(pid_of(process), signal.SIGKILL)
    with pytest.raises(ScorerLost, match="died"):
        received(process)
    assert items_of(ask(process, asked("u1"))[0])


def test_who_waits_for_an_answer_is_woken_for_requests_and_the_answer_is_not_lost(start: Start, bundle: Path) -> None:
    process = start(bundle)
    process.ready()
    process.interrupt()
    assert process.receive(60) is None
    process.send(asked("u1"))
    process.interrupt()
    assert items_of(received(process)[0])


def test_an_operator_with_two_batches_does_not_keep_another_waiting(machine: Machine, bundle: Path) -> None:
    busy, other = machine.operator(bundle), machine.operator(bundle)
    os.kill(machine.service.pid, signal.SIGSTOP)
    busy.send(asked("a1"))
    busy.send(asked("a2"))
    other.send(asked("b"))
    os.kill(machine.service.pid, signal.SIGCONT)
    first, second, theirs = (received(one)[0] for one in (busy, busy, other))
    assert all(isinstance(made, Encoded) and made.times for made in (first, second, theirs))
    assert first.times.scored == theirs.times.scored < second.times.scored, "one batch of each at a time"
