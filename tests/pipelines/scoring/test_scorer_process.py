"""A real scorer process: the same lists as in this process, and what happens when it dies, hangs or must not serve."""

import os
import signal
import socket
import struct
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil
import pytest

from operators.errors import StackError
from operators.lists.catalogue import Catalogue
from operators.lists.list_maker import ListMaker
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.settings import ScorerSettings, Settings
from pipelines.scoring.process import ScorerLost, ScorerProcess
from pipelines.scoring.wire import LARGEST, Handshake, Ready, pack
from tests.builders import HANG_ITEM, NOW_MS, write_bundle, write_faulty_bundle, write_manifest
from tests.pipelines.scoring.scorer_requests import Start, ask, asked, items_of, pid_of
from tests.places import ROOT


def test_its_lists_are_those_of_a_list_maker_here(start: Start, bundle: Path) -> None:
    process = start(bundle)
    assert process.ready().provider == "CPUExecutionProvider"
    # else a cluster's machine would run what is installed there and not what the submission shipped
    environment = Path(f"/proc/{pid_of(process)}/environ").read_text().split("\0")
    assert f"PYTHONPATH={ROOT}" in [one.split(os.pathsep)[0] for one in environment]
    loaded = ModelBundle.load(bundle)
    settings = Settings.model_construct()
    here = ListMaker(
        loaded,
        Scorer(loaded, ScorerSettings(provider="cpu")),
        Catalogue(loaded.vocabulary, settings.lists.catalogue_coverage),
        settings.lists,
        lambda: NOW_MS,
    )
    requests = [*asked("u1"), *asked("u2", item="i5"), *asked("u3", item="unknown")]
    made = ask(process, requests)
    assert [one.source for one in made] == ["model", "model", "popular"]
    expected = [[place.item_id for place in one.items] for one in here.make(requests)]
    assert [items_of(one) for one in made] == expected
    batch = made[0].times
    assert batch is not None and batch.started <= batch.scored <= batch.ready
    assert all(one.times is batch for one in made)


class Answering:
    """A link to a process that answers each message with the next of these bytes, as they are."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers
        self.left: list[bool] = []

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()

        def answer() -> None:
            with Connection(theirs.detach()) as end:
                for one in self._answers:
                    end.recv_bytes()
                    os.write(end.fileno(), one)
                with suppress(EOFError, OSError):
                    end.recv_bytes()

        threading.Thread(target=answer, daemon=True).start()
        return ours

    def leave(self, *, hung: bool) -> int | None:
        self.left.append(hung)
        return None

    pid = 0


def sent(message: bytes) -> bytes:
    return struct.pack("!i", len(message)) + message


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (struct.pack("!iQ", -1, 2 << 30), "bad message length"),  # two gigabytes are announced
        (struct.pack("!i", LARGEST + 1), "bad message length"),
        (sent(b"no msgpack"), "no answer"),
        (sent(pack(["a", "list", "of", 5])), "no answer"),
    ],
)
def test_a_process_that_answers_nonsense_is_left_and_takes_no_memory(answer: bytes, why: str) -> None:
    link = Answering(sent(pack(Ready("CPUExecutionProvider"))), answer)
    process = ScorerProcess(link, Handshake({}, "", "0", ""), 1, lambda _: None)
    process.ready()
    before = psutil.Process().memory_info().rss
    with pytest.raises(ScorerLost, match=why):
        ask(process, asked("u1"))
    assert psutil.Process().memory_info().rss - before < 50 * 2**20
    assert link.left == [False]


def test_one_that_is_stopped_is_killed_and_another_scores(start: Start, bundle: Path) -> None:
    seen: list[Ready] = []
    process = start(bundle, kill_after_s=0.5, seen=seen)
    process.ready()
    first = pid_of(process)
    os.kill(first, signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(ScorerLost, match="no answer"):
        ask(process, asked("u1"))
    assert 0.4 < time.monotonic() - begun < 3
    assert not psutil.pid_exists(first)
    assert items_of(ask(process, asked("u1"))[0])
    assert len(seen) == 2


def test_who_hangs_it_twice_is_not_scored_again_and_the_others_are(start: Start, tmp_path: Path) -> None:
    process = start(write_faulty_bundle(tmp_path / "faulty"), kill_after_s=0.5)
    process.ready()
    guilty, innocent = asked("guilty", item=HANG_ITEM), asked("innocent")
    with pytest.raises(ScorerLost):
        ask(process, [*guilty, *innocent])
    assert items_of(ask(process, innocent)[0]), "a suspect that was scored with the guilty one"
    with pytest.raises(ScorerLost):
        ask(process, guilty)
    refused, made = ask(process, [*guilty, *asked("another")])
    assert "CrashesTheProcess" in str(refused)
    assert items_of(made)


def test_of_a_batch_that_raises_each_request_is_scored_alone_and_the_process_goes_on(
    start: Start, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    process = start(write_faulty_bundle(tmp_path / "faulty"))
    process.ready()
    nan, good = ask(process, [*asked("nan", item="i6"), *asked("good")])
    assert "NotFinite" in str(nan)
    assert items_of(good)
    bad, good = ask(process, [*asked("raises", item="i7"), *asked("good")])
    assert "InvalidArgument" in str(bad)
    assert items_of(good)
    log = capfd.readouterr().out
    assert "InvalidArgument" in log and "NotFinite" in log, "whoever sees fallbacks must find out why"
    assert "scores of" not in log, "ids of users do not belong into logs"


def test_a_bundle_with_other_scores_is_refused_and_a_gpu_that_is_not_there_is_missed(
    start: Start, bundle: Path, tmp_path: Path
) -> None:
    wrong = write_bundle(tmp_path / "wrong")
    np.save(wrong / "golden_scores.npy", np.load(wrong / "golden_scores.npy") + 0.5)
    write_manifest(wrong)
    seen: list[Ready] = []
    process = start(wrong, seen=seen)
    assert "golden scores" in process.ready().refused
    assert ["golden scores" in one.refused for one in seen] == [True]
    with pytest.raises(ScorerLost, match="golden scores"):
        ask(process, asked("u1"))
    with pytest.raises(StackError, match="require_gpu"):
        start(bundle, require_gpu=True).ready()


def test_one_that_cannot_start_is_not_tried_again_at_once(start: Start, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "known")
    process = start(bundle)
    process.ready()
    os.kill(pid_of(process), signal.SIGKILL)
    with pytest.raises(ScorerLost):
        ask(process, asked("u1"))
    (bundle / "model.onnx").unlink()
    for message in ("model.onnx", "again in"):
        with pytest.raises(ScorerLost, match=message):
            ask(process, asked("u1"))
