"""Batches as they cross between Java and Python, and the jar that holds the Java half."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from operators.refresh.refresh_records import BatchActions, Output, Turn
from operators.settings import Settings
from operators.shopper.recent_states import RecentStates
from operators.shopper.state_layout import stored
from operators.shopper.user_state import step
from pipelines.job import refresh_function
from pipelines.job.batch_messages import Message, unwrapped
from pipelines.scoring.wake_up import WakeUpPipe
from tests.builders import NOW_MS, event
from tests.places import ROOT

BRIDGE = ROOT / "pipelines" / "job" / "bridge"


def entry(user: bytes | None, state: bytes | bool | None = None) -> list[Any]:
    """As `Batch.addRecord` packs it."""
    return [user, state, None, b"{}", "topic", 1, 2, NOW_MS, True]


def timer_entry(user: bytes, timer_ms: int) -> list[Any]:
    """As `Batch.addTimer` packs it."""
    return [user, None, timer_ms]


def wanted_entry(user: bytes) -> list[Any]:
    """As `Answer.java` adds it for a user whose turn is wanted."""
    return [user, None, 0]


def message(*entries: list[Any], recent: RecentStates | None = None) -> Message:
    return Message(msgspec.msgpack.encode(entries), NOW_MS, recent or RecentStates(10, lambda: 0.0))


def a_state() -> bytes:
    return step(None, event(), 1000, NOW_MS).state


def test_the_jar_holds_the_sources_of_this_tree() -> None:
    """Another source without another jar would run yesterday's code: `make bridge`."""
    sources = {path.name: path.read_bytes() for path in (BRIDGE / "src").rglob("*.java")}
    with zipfile.ZipFile(BRIDGE / "liveshelf-bridge.jar") as jar:
        names = [name for name in jar.namelist() if name.startswith("org/liveshelf/") and not name.endswith("/")]
        in_jar = {name.rsplit("/", 1)[1]: jar.read(name) for name in names if name.endswith(".java")}
    assert in_jar == sources
    assert {f"{name.removesuffix('.java')}.class" for name in sources} <= {name.rsplit("/", 1)[1] for name in names}


@pytest.mark.parametrize("size", [0, 1, 3, 155, 255, 256, 1017, 70_000])
@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
def test_a_state_that_pyflink_pickled_is_unwrapped(size: int, protocol: int) -> None:
    state = bytes(range(256)) * 300
    assert unwrapped(pickle.dumps(state[:size], protocol)) == state[:size]


def test_a_state_is_no_pickle() -> None:
    state = stored(a_state())
    assert unwrapped(state) is state


@pytest.mark.parametrize("other", ["text", 1, ["a"], os.system])
def test_another_pickle_is_refused_and_not_run(other: object) -> None:
    with pytest.raises(ValueError, match="a pickle of bytes"):
        unwrapped(pickle.dumps(other))


def test_a_pickle_that_was_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 155 bytes of state; came 101"):
        unwrapped(pickle.dumps(bytes(155), 3)[:105])


def test_entries_become_turns() -> None:
    batch = message(entry(b"u1", b"\x02s"), timer_entry(b"\xff", NOW_MS - 7), entry(b"u1"))
    record, timer, again = batch.turns
    assert (record.user, record.state) == ("u1", b"\x02s")
    assert record.record and (record.record.topic, record.record.offset, record.record.keyed) == ("topic", 2, True)
    assert (timer.user, timer.record, timer.late_ms) == ("\udcff", None, 7)
    assert again.state is None, "the state goes with the first entry"
    assert message(wanted_entry(b"u1")).turns == [Turn("u1", None, None, None)]


def test_an_answer_names_the_first_entry_of_a_user_and_cached_states_are_not_asked_for_again() -> None:
    recent, state = RecentStates(10, lambda: 0.0), a_state()
    batch = message(entry(b"u0"), entry(b"u1"), entry(b"u1"), recent=recent)
    actions = BatchActions(
        {"u1": state}, {"u1": 500}, [Output("list", b"u1", None, {"h": b"v"})], ["\udcff"], {"\udcfe": None}
    )
    answer = msgspec.msgpack.decode(batch.answer(actions))
    outputs = [["list", b"u1", None, {"h": b"v"}]]
    assert answer == [False, [[1, stored(state)]], [b"\xfe"], [[1, 500]], outputs, [b"\xff"]]
    (turn,) = message(entry(b"u1", False), recent=recent).turns
    assert turn.state == stored(state)
    for user, java_says in ((b"u1", None), (b"u0", False)):
        with pytest.raises(RuntimeError, match="names of cached states"):
            message(entry(user, java_says), recent=recent)


def test_java_is_told_when_older_states_are_dropped() -> None:
    recent, drops = RecentStates(1, lambda: 0.0), []
    for user in ("a", "b", "c"):
        batch = message(entry(user.encode()), recent=recent)
        drops.append(msgspec.msgpack.decode(batch.answer(BatchActions({user: a_state()})))[0])
    assert drops == [False, True, True]


def test_the_pipe_wakes_and_a_full_pipe_blocks_nobody() -> None:
    pipe = WakeUpPipe()
    for _ in range(100_000):
        pipe.write()
    assert os.read(pipe.reading_end, 1) == b"\0"
    pipe.close()


def test_who_has_the_pipes_numbers_after_it_is_not_touched(tmp_path: Path) -> None:
    pipe = WakeUpPipe()
    pipe.close()
    others = [(tmp_path / name).open("wb+") for name in "ab"]
    pipe.close()
    pipe.write()
    for other in others:
        other.flush()
        assert os.fstat(other.fileno()).st_size == 0
        other.close()


def test_what_an_open_that_fails_took_is_given_back_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pipes: list[WakeUpPipe] = []

    def new_pipe() -> WakeUpPipe:
        pipes.append(WakeUpPipe())
        return pipes[-1]

    def no_port(*_: object) -> None:
        raise OSError("no port is free")

    monkeypatch.setattr(refresh_function, "WakeUpPipe", new_pipe)
    monkeypatch.setattr(refresh_function, "JobMetrics", no_port)
    function = refresh_function.RefreshFunction(Settings(), tmp_path, "python")
    with pytest.raises(OSError, match="no port"):
        function.open(0)
    function.close()
    with pytest.raises(OSError):
        os.fstat(pipes[0].reading_end)
    function.close()
