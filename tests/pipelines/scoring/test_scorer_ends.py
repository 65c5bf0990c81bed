"""A scorer process that dies, hangs or loses its operator or device is gone, and another one scores."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from operators.model.gpu.cuda_batches import CUDA
from operators.model.scorer import choose_provider
from pipelines.scoring.main import DEVICE_LOST
from pipelines.scoring.process import ScorerLost, ScorerProcess
from tests.builders import HANG_ITEM, write_faulty_bundle
from tests.pipelines.scoring.scorer_faults import HOLDS, LOSES, operator_process, write_holding_python, write_python
from tests.pipelines.scoring.scorer_requests import Start, ask, asked, items_of, pid_of

on_a_gpu = pytest.mark.skipif(choose_provider("auto")[0] != CUDA, reason="no CUDA device")


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
        ask(process, asked(HOLDS))
    assert not psutil.pid_exists(first)
    assert items_of(ask(process, asked("u1"))[0])


def ends_and_another_scores(process: ScorerProcess) -> None:
    """Whoever is scored when the device is lost is suspected, and whoever loses it twice is not scored again."""
    first = pid_of(process)
    for _ in range(2):
        with pytest.raises(ScorerLost, match=f"exit code is {DEVICE_LOST}"):
            ask(process, [*asked(LOSES), *asked("u1")])
    refused, made = ask(process, [*asked(LOSES), *asked("u1")])
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
    found, expected = ([items_of(one) for one in ask(process, requests)] for process in (on_card, on_cpu))
    assert found == expected
    ends_and_another_scores(on_card)


def test_it_outlives_the_thread_that_started_it(start: Start, bundle: Path) -> None:
    """A scorer thread that died is replaced, and the process that it had started again goes on (PR_SET_PDEATHSIG would kill it)."""
    with ThreadPoolExecutor(1) as thread:
        process = thread.submit(start, bundle).result()
    process.ready()
    assert items_of(ask(process, asked("u1"))[0])


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
