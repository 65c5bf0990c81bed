"""A real scorer process: the same lists as in this process, and what happens when it dies, hangs or must not serve."""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from operators.errors import StackError
from operators.lists.catalogue import Catalogue
from operators.lists.encoded_list import Encoded
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.cuda_batches import CUDA
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer, choose_provider
from operators.records.contracts import CatalogueItem
from operators.settings import ScorerSettings, Settings
from operators.telemetry.timeline import BatchTimes
from pipelines.scoring.links import link_of
from pipelines.scoring.main import DEVICE_LOST
from pipelines.scoring.process import ScorerLost, ScorerProcess
from pipelines.scoring.wire import LARGEST, Begin, Ready, chunks, pack
from tests.builders import HANG_ITEM, NOW_MS, viewed, write_bundle, write_faulty_bundle, write_manifest
from tests.places import ROOT

Start = Callable[..., ScorerProcess]
on_a_gpu = pytest.mark.skipif(choose_provider("auto")[0] != CUDA, reason="no CUDA device")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("known"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes that end with the test; `seen` gets what each said when it was ready."""
    started = []

    def begun(
        folder: Path,
        *,
        kill_after_s: float = 5,
        seen: list[Ready] | None = None,
        python: str = sys.executable,
        **scorer: object,
    ) -> ScorerProcess:
        chosen = ScorerSettings.model_validate({"provider": "cpu", "metrics_port": 19440} | scorer)
        settings = Settings.model_construct(scorer=chosen)
        begin = Begin(settings.model_dump(), str(folder), "0", str(tmp_path / "crashes"))
        link = link_of(python, begin, chosen.shared_dir)
        started.append(ScorerProcess(link, begin, kill_after_s, (seen if seen is not None else []).append))
        return started[-1]

    yield begun
    for one in started:
        one.close()


def asked(*users: str, item: str = "i2") -> list[Request]:
    return [Request(user, viewed(item), NOW_MS, "e0", None) for user in users]


def now() -> BatchTimes:
    return BatchTimes(time.time())


def items_of(made: Encoded | Exception) -> list[str]:
    assert isinstance(made, Encoded), made
    return [place["item_id"] for place in msgspec.json.decode(made.value)["items"]]


def pid_of(process: ScorerProcess) -> int:
    return process._link.pid


def test_its_lists_are_those_of_a_list_maker_here(start: Start, bundle: Path) -> None:
    process, batch = start(bundle), now()
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
    made = process.make(requests, batch)
    assert [one.source for one in made] == ["model", "model", "popular"]
    expected = [[place.item_id for place in one.items] for one in here.make(requests)]
    assert [items_of(one) for one in made] == expected
    assert batch.started <= batch.scored <= batch.ready
    assert all(one.times is batch for one in made)


class Table(dict[str, bytes]):
    """Stands for the compacted table: rows by key; counts how often all are read."""

    read = 0

    def items(self):
        self.read += 1
        return super().items()


def eight_items(*, without: int = 0) -> Table:
    return Table(
        {f"i{n}": msgspec.json.encode(CatalogueItem(item_id=f"i{n}", in_stock=n != without)) for n in range(1, 9)}
    )


known = frozenset(eight_items()).__contains__


def change(process: ScorerProcess, rows: Table, key: str, value: bytes | None) -> None:
    """As the table does: its row first, then who follows it."""
    if value is None:
        rows.pop(key, None)
    else:
        rows[key] = value
    process.changed(key)


def test_the_catalogues_changes_reach_it_and_all_rows_the_next_one(start: Start, bundle: Path) -> None:
    process, rows = start(bundle), eight_items(without=3)
    process.ready()
    process.follow(rows, known)
    (made,) = process.make(asked("u1"), now())
    assert "i3" not in items_of(made), "what the table held before"
    change(process, rows, "i4", None)
    change(process, rows, "i5", msgspec.json.encode(CatalogueItem(item_id="i5", in_stock=False)))
    change(process, rows, "i5", msgspec.json.encode(CatalogueItem(item_id="i5", in_stock=True)))
    (made,) = process.make(asked("u1"), now())
    assert {"i3", "i4"}.isdisjoint(items_of(made)) and "i5" in items_of(made)
    assert rows.read == 1
    os.kill(pid_of(process), signal.SIGKILL)
    with pytest.raises(ScorerLost, match=r"died .*; its exit code is -9"):
        process.make(asked("u1"), now())
    change(process, rows, "i6", None)
    (again,) = process.make(asked("u1"), now())
    assert {"i3", "i4", "i6"}.isdisjoint(items_of(again))
    assert rows.read == 2


@pytest.mark.parametrize("state", ["serves and nobody asks", "lost", "refused"])
def test_a_live_catalogue_takes_no_memory_while_nobody_asks(
    start: Start, bundle: Path, tmp_path: Path, state: str
) -> None:
    """20,000 updates of known items and as many of items that no model knows."""
    if state == "refused":
        bundle = write_bundle(tmp_path / "wrong")
        np.save(bundle / "golden_scores.npy", np.load(bundle / "golden_scores.npy") + 0.5)
        write_manifest(bundle)
    process, rows = start(bundle), eight_items()
    assert bool(process.ready().refused) == (state == "refused")
    process.follow(rows, known)
    if state == "lost":
        os.kill(pid_of(process), signal.SIGKILL)
        with pytest.raises(ScorerLost):
            process.make(asked("u1"), now())
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for n in range(20_000):
        process.changed(f"i{n % 8 + 1}")
        process.changed(f"new-{n}")
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 10_000
    assert len(process._changes) <= len(rows)


def test_records_of_a_megabyte_each_go_in_messages_of_a_few() -> None:
    records = [(f"i{n}", b"x" * 2**20) for n in range(10)] + [("gone", None)] + [("small", b"{}")] * 6_000
    sizes = [(len(chunk), sum(len(value or b"") for _, value in chunk)) for chunk in chunks(iter(records))]
    assert sizes == [(4, 4 * 2**20), (4, 4 * 2**20), (5_000, 2 * 2**20 + 2 * 4_997), (1_003, 2 * 1_003)]
    assert not list(chunks([]))


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
    process = ScorerProcess(link, Begin({}, "", "0", ""), 1, lambda _: None)
    process.ready()
    before = psutil.Process().memory_info().rss
    with pytest.raises(ScorerLost, match=why):
        process.make(asked("u1"), now())
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
        process.make(asked("u1"), now())
    assert 0.4 < time.monotonic() - begun < 3
    assert not psutil.pid_exists(first)
    assert items_of(process.make(asked("u1"), now())[0])
    assert len(seen) == 2


def test_who_hangs_it_twice_is_not_scored_again_and_the_others_are(start: Start, tmp_path: Path) -> None:
    process = start(write_faulty_bundle(tmp_path / "faulty"), kill_after_s=0.5)
    process.ready()
    guilty, innocent = asked("guilty", item=HANG_ITEM), asked("innocent")
    with pytest.raises(ScorerLost):
        process.make([*guilty, *innocent], now())
    assert items_of(process.make(innocent, now())[0]), "a suspect that was scored with the guilty one"
    with pytest.raises(ScorerLost):
        process.make(guilty, now())
    refused, made = process.make([*guilty, *asked("another")], now())
    assert "CrashesTheProcess" in str(refused)
    assert items_of(made)


def test_a_batch_that_raises_is_told_as_a_whole_and_the_process_goes_on(
    start: Start, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    process = start(write_faulty_bundle(tmp_path / "faulty"))
    process.ready()
    with pytest.raises(RuntimeError, match="InvalidArgument"):
        process.make([*asked("raises", item="i7"), *asked("good")], now())
    nan, good = process.make([*asked("nan", item="i6"), *asked("good")], now())
    assert "NotFinite" in str(nan)
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
        process.make(asked("u1"), now())
    with pytest.raises(StackError, match="require_gpu"):
        start(bundle, require_gpu=True).ready()


def test_one_that_cannot_start_is_not_tried_again_at_once(start: Start, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "known")
    process = start(bundle)
    process.ready()
    os.kill(pid_of(process), signal.SIGKILL)
    with pytest.raises(ScorerLost):
        process.make(asked("u1"), now())
    (bundle / "model.onnx").unlink()
    for message in ("model.onnx", "again in"):
        with pytest.raises(ScorerLost, match=message):
            process.make(asked("u1"), now())


HOLDS, LOSES = "holds the lock", "loses the device"


def write_holding_python(file: Path) -> str:
    """While the user `HOLDS` is scored, native code hangs and holds Python's own lock."""
    return write_python(file, HOLDS, "ctypes.PyDLL(None).sleep(1000)")


def write_python(file: Path, user: str, deed: str) -> str:
    """Stands for the interpreter: it does `deed` before it makes lists for `user`; `self` is the list maker."""
    file.write_text(
        f"#!{sys.executable}\n"
        "import ctypes, runpy, sys\n"
        "from operators.lists.list_maker import ListMaker\n"
        "make = ListMaker.make\n"
        "def doing(self, requests):\n"
        f"    if any(one.user_id == {user!r} for one in requests):\n"
        f"        {deed}\n"
        "    return make(self, requests)\n"
        "ListMaker.make = doing\n"
        "sys.argv = sys.argv[3:]  # after -P -m\n"
        "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
    )
    file.chmod(0o700)
    return str(file)


OPERATOR = (
    "import sys\n"
    "from operators.settings import ScorerSettings, Settings\n"
    "from pipelines.scoring.links import link_of\n"
    "from pipelines.scoring.process import ScorerProcess\n"
    "from pipelines.scoring.wire import Begin\n"
    "from tests.pipelines.scoring.test_scorer_process import asked, now\n"
    "bundle, journal, python, shared_dir, kill_after_ms, user, item = sys.argv[1:]\n"
    "scorer = ScorerSettings(provider='cpu', metrics_port=19445, kill_after_ms=int(kill_after_ms))\n"
    "begin = Begin(Settings.model_construct(scorer=scorer).model_dump(), bundle, '0', journal)\n"
    "process = ScorerProcess(link_of(python, begin, shared_dir), begin, 60, lambda ready: None)\n"
    "process.ready()\n"
    "print('scorer', process._link.pid, flush=True)\n"
    "process.make(asked(user, item=item), now())\n"
)


@contextmanager
def operator_process(*words: str) -> Iterator[tuple["subprocess.Popen[str]", psutil.Process]]:
    """A process that stands for a TaskManager and asks for a list, and its scorer. Both are gone afterwards."""
    command = [sys.executable, "-c", OPERATOR, *words]
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as operator:
        assert operator.stdout is not None
        scorer = psutil.Process(next(int(line.split()[1]) for line in operator.stdout if line.startswith("scorer ")))
        try:
            yield operator, scorer
        finally:
            for one in (operator, scorer):
                with suppress(psutil.NoSuchProcess):
                    one.kill()


@pytest.mark.parametrize("hangs", ["in ONNX Runtime", "with the interpreter's lock"])
def test_it_ends_with_the_operators_process_also_while_it_hangs(tmp_path: Path, hangs: str) -> None:
    folder, holding = write_faulty_bundle(tmp_path / "faulty"), hangs == "with the interpreter's lock"
    python = write_holding_python(tmp_path / "python") if holding else sys.executable
    user, item = (HOLDS, "i2") if holding else ("u1", HANG_ITEM)
    with operator_process(str(folder), str(tmp_path / "crashes"), python, "", "10000", user, item) as (
        operator,
        scorer,
    ):
        time.sleep(0.5)
        assert scorer.is_running()
        operator.kill()
        with suppress(psutil.NoSuchProcess):
            scorer.wait(2)
        assert not scorer.is_running()


def test_one_that_holds_the_interpreters_lock_is_killed_and_another_scores(
    start: Start, bundle: Path, tmp_path: Path
) -> None:
    process = start(bundle, kill_after_s=0.5, python=write_holding_python(tmp_path / "python"))
    process.ready()
    first = pid_of(process)
    with pytest.raises(ScorerLost, match="no answer"):
        process.make(asked(HOLDS), now())
    assert not psutil.pid_exists(first)
    assert items_of(process.make(asked("u1"), now())[0])


def ends_and_another_scores(process: ScorerProcess) -> None:
    """Whoever is scored when the device is lost is suspected, and whoever loses it twice is not scored again."""
    first = pid_of(process)
    for _ in range(2):
        with pytest.raises(ScorerLost, match=f"exit code is {DEVICE_LOST}"):
            process.make([*asked(LOSES), *asked("u1")], now())
    refused, made = process.make([*asked(LOSES), *asked("u1")], now())
    assert "CrashesTheProcess" in str(refused)
    assert items_of(made)
    assert pid_of(process) != first


def test_one_whose_device_answers_nothing_any_more_ends_and_another_scores(
    start: Start, bundle: Path, tmp_path: Path
) -> None:
    lost = "self._scorer.provider = 'CUDAExecutionProvider'; self._scorer._run = None"
    process = start(bundle, python=write_python(tmp_path / "python", LOSES, lost))
    process.ready()
    ends_and_another_scores(process)


@on_a_gpu
def test_a_gpu_serves_the_lists_of_a_cpu_and_is_there_again_after_an_error(
    start: Start, bundle: Path, tmp_path: Path
) -> None:
    python = write_python(tmp_path / "python", LOSES, "from tests.broken_device import lose; lose()")
    on_card = start(bundle, python=python, kill_after_s=20, provider="cuda", require_gpu=True)
    on_cpu = start(bundle, metrics_port=19441)
    assert (on_card.ready().provider, on_cpu.ready().provider) == (CUDA, "CPUExecutionProvider")
    requests = [*asked("u1"), *asked("u2", item="i5")]
    found, expected = ([items_of(one) for one in process.make(requests, now())] for process in (on_card, on_cpu))
    assert found == expected
    ends_and_another_scores(on_card)


def test_it_outlives_the_thread_that_started_it(start: Start, bundle: Path) -> None:
    """A scorer thread that died is replaced, and the process that it had started again goes on (PR_SET_PDEATHSIG would kill it)."""
    with ThreadPoolExecutor(1) as thread:
        process = thread.submit(start, bundle).result()
    process.ready()
    assert items_of(process.make(asked("u1"), now())[0])


def test_one_whose_operator_was_gone_before_it_could_watch_ends_at_once() -> None:
    script = "from pipelines.scoring.main import end_with_the_holder_of as end; end(0); __import__('time').sleep(60)"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.getcwd()}) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) in (0, -signal.SIGKILL)


def test_one_that_is_started_while_the_operator_closes_does_not_stay(start: Start, bundle: Path) -> None:
    process = start(bundle)
    process.ready()
    process.close()
    with pytest.raises(ScorerLost, match="closed"):
        process._spawn()  # as the scorer thread does that was about to start it again
    assert not psutil.pid_exists(pid_of(process))
