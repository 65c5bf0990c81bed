"""What must not grow: memory of a long-lived process, threads and files after many submissions."""

import gc
import json
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmarks.faults.verdict import Verdict
from operators.configuration.shop_settings import EventSettings
from operators.records.event_decode import EventDecoder
from operators.shopper.user_state import step
from tests.bad_records import good_event
from tests.builders import NOW_MS
from tests.faults.conftest import record
from tests.running_stack import Stack
from tests.stack.topics import eventually

pytestmark = pytest.mark.manual
MILLION = 1_000_000


def test_the_kernel_leaks_no_byte_an_event() -> None:
    """10 million events through decode and step: resident memory between the second and the tenth million."""
    decoder, process, gap_ms = EventDecoder(EventSettings()), psutil.Process(), 30 * 60_000
    values = [
        json.dumps(good_event(event_id=f"{n}-%07d", user_id="u", item_id=f"i{n}", context={"page": "p" * n})).encode()
        for n in range(50)
    ]
    states: list[bytes | None] = [None] * 50
    resident = []
    for million in range(10):
        for n in range(MILLION):
            at = n % 50
            event = decoder.decode("u", values[at].replace(b"%07d", b"%07d" % n, 1), NOW_MS)
            states[at] = step(states[at], event, gap_ms).state
        gc.collect()
        resident.append(process.memory_info().rss)
        print(f"{million + 1} million: {resident[-1] / 2**20:.1f} MB")
    slope = np.polyfit(np.arange(1, 9), resident[2:], 1)[0] / MILLION
    kept = slope < 0.5
    record(
        {
            "name": "memory an event, 10 M events",
            "events": 10 * MILLION,
            "note": f"{slope:.3f} bytes an event",
            "verdict": Verdict.of(bool(kept)),
        }
    )
    assert kept


def left_over(process: psutil.Process) -> dict[str, int]:
    files = process.num_fds()
    return {"threads": process.num_threads(), "files": files, "MB": process.memory_info().rss // 2**20}


def test_an_interpreter_that_outlives_its_jobs_keeps_nothing_of_them(stack: Stack, demo_bundle: Path, job: str) -> None:
    """Ten submissions to the same TaskManager: threads, open files and memory of its process stay."""
    spare = next(n for n in ("taskmanager-0", "taskmanager-1") if n != stack.injector.working_taskmanager())
    found = []
    with stack.supervisor.stopped(spare):
        for _ in range(10):
            location = json.loads(stack.liveshelf("stop", "--json").stdout)["savepoint"]
            stack.liveshelf("submit", "--bundle", str(demo_bundle), "--from-savepoint", location)
            time.sleep(3)
            found.append(left_over(psutil.Process(stack.injector.pid("taskmanager"))))
    eventually(lambda: len(stack.cluster.get("/taskmanagers")["taskmanagers"]) == 2, 60)
    print(*found, sep="\n")
    half = len(found) // 2
    grown = {name: (found[-1][name] - found[half][name]) / (len(found) - 1 - half) for name in found[0]}
    kept = grown["threads"] < 1 and grown["files"] < 3 and grown["MB"] < 15
    added = ", ".join(f"{value:.1f} {name}" for name, value in grown.items())
    note = f"first {found[0]}, last {found[-1]}; a submission of the later half adds {added}"
    record({"name": "interpreter left over after 10 submissions", "note": note, "verdict": Verdict.of(kept)})
    assert kept, note
