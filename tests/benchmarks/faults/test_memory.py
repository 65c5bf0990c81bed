"""Whether memory grows: planted leaks are found, noise that remembers itself is not taken for one."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping

import numpy as np
import pytest

from benchmarks.faults.memory import Growth, Memory, Slope, Watch, growths, memory_of, slope_an_hour, table

EVERY_S, SAMPLES = 5.0, 180  # the second half of half an hour


def noise(seed: int, memory: float = 0.8) -> np.ndarray:
    """MB around 500, each sample like the one before."""
    chance, values = np.random.default_rng(seed), [0.0]
    for _ in range(SAMPLES - 1):
        values.append(memory * values[-1] + chance.normal(0, 1))
    return np.array(values) + 500


def test_the_interval_holds_the_truth_nine_times_in_ten_also_where_samples_are_alike() -> None:
    seconds = np.arange(SAMPLES) * EVERY_S
    hits = sum(abs((slope := slope_an_hour(seconds, noise(seed))).an_hour) <= slope.half_width for seed in range(400))
    assert hits > 400 * 0.88, "a plain least squares' interval holds it in half of them"


def test_a_planted_leak_is_found_with_its_size() -> None:
    seconds = np.arange(SAMPLES) * EVERY_S
    slope = slope_an_hour(seconds, noise(3) + seconds / 3600 * 40)
    assert slope.lowest > 10
    assert abs(slope.an_hour - 40) < slope.half_width


def test_a_straight_line_has_no_interval_and_few_samples_no_slope() -> None:
    slope = slope_an_hour([n * 60.0 for n in range(30)], [100.0 + n for n in range(30)])
    assert slope == pytest.approx((60.0, 0.0), abs=1e-6)
    with pytest.raises(ValueError, match="8 samples"):
        slope_an_hour([0.0, 1.0], [1.0, 2.0])


def test_memory_is_what_the_kernel_counts() -> None:
    script = "import sys; x = bytearray(b'x' * 50_000_000); print('there', flush=True); sys.stdin.read()"
    sizes = {}
    for name, code in (("small", script.replace("50_000_000", "1")), ("large", script)):
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline()
            sizes[name] = memory_of(process.pid)
            process.communicate()
    assert sizes["large"].anonymous - sizes["small"].anonymous == pytest.approx(50_000_000 / 2**20, abs=2)
    assert sizes["large"].pss >= sizes["large"].anonymous
    with pytest.raises(OSError):
        memory_of(2**22 + 1)


def test_a_process_that_is_another_one_now_is_a_restart() -> None:
    pids: dict[str, int] = {"a": os.getpid(), "b": os.getpid()}
    watch = Watch(lambda: pids)
    watch.sample()
    watch.sample()
    assert watch.restarts == {"a": 0, "b": 0}
    pids["a"] = os.getppid()
    watch.sample()
    del pids["b"]
    watch.sample()
    assert watch.restarts == {"a": 1, "b": 1}


def test_a_process_that_goes_while_it_is_looked_at_ends_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    watch = Watch(lambda: {"gone": process.pid, "me": os.getpid()})
    watch.sample()
    assert watch.samples[0].keys() == {"me"}


def judged(rise: float, bounds: Mapping[str, float], restarts: int = 0) -> Growth:
    chance = np.random.default_rng(1)
    watch = Watch(dict)
    for number in range(SAMPLES):
        at_s = number * EVERY_S
        value = 500 + rise * at_s / 3600 + chance.normal(0, 0.5)
        watch.at_s.append(at_s)
        watch.samples.append({"scorer": Memory(value + 20, value)})
    watch.restarts["scorer"] = restarts
    (growth,) = growths(watch, at_s / 2, 10, bounds)
    return growth


def test_what_grows_is_not_kept_unless_it_has_a_bound_that_it_is_below() -> None:
    assert judged(0, {}).flat and judged(0, {}).kept
    assert not judged(60, {}).flat and not judged(60, {}).kept
    assert judged(60, {"scorer": 600}).kept and not judged(60, {"scorer": 600}).flat
    assert not judged(60, {"scorer": 400}).kept
    assert not judged(0, {}, restarts=1).kept
    assert "| scorer | 536 |" in table([judged(60, {})]) and table([judged(60, {})]).endswith("| no | NO |")


def test_samples_are_taken_in_little_time() -> None:
    watch = Watch(lambda: {"me": os.getpid()})
    started_s = time.monotonic()
    for _ in range(20):
        watch.sample()
    assert time.monotonic() - started_s < 5
    assert isinstance(watch.slopes("pss", 0)["me"], Slope)
