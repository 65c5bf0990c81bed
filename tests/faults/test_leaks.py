"""What must not grow: memory of a long-lived process, threads and files after many submissions."""

import gc
import json
import time
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.faults.verdict import Verdict
from operators.decode import EventDecoder
from operators.settings import EventSettings
from operators.user_state import step
from tests.bad_records import good_event
from tests.builders import NOW_MS
from tests.faults.conftest import REPORT, Trial, record
from tests.running_stack import Stack
from tests.stack.topics import eventually

pytestmark = pytest.mark.slow
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


def slope_an_hour(seconds: list[float], values: list[float]) -> tuple[float, float]:
    """Least-squares slope per hour and the half width of its 95 % interval."""
    x, y = np.array(seconds) / 3600, np.array(values)
    if len(x) < 3 or np.ptp(y) == 0:
        return 0.0, 0.0
    (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
    return float(slope), float(1.96 * np.sqrt(covariance[0, 0]))


def parts_of_memory(process: psutil.Process, exposition: str) -> dict[str, float]:
    """MB of a TaskManager by what holds them; `rest_MB` is Python's, ONNX Runtime's and glibc's, without a bound of its own.

    `exposition` is what Flink's Prometheus reporter says. The columns of a slot share one block cache.
    """
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(exposition):
        for kind, ending in REPORTED.items():
            if family.name.endswith(ending):
                found[kind] = max(found.get(kind, 0.0), *(sample.value / 2**20 for sample in family.samples))
    memory = process.memory_info()
    found["mapped_files_MB"] = memory.shared / 2**20
    whole = memory.rss / 2**20
    return found | {"rest_MB": whole - sum(found.values()), "without_block_cache_MB": whole - found["block_cache_MB"]}


REPORTED = {
    "java_heap_MB": "Status_JVM_Memory_Heap_Committed",  # touched at the start, all of it
    "java_other_MB": "Status_JVM_Memory_NonHeap_Used",
    "java_direct_MB": "Status_JVM_Memory_Direct_MemoryUsed",
    "block_cache_MB": "rocksdb_block_cache_usage",
}
SOAK_RATE = 2400  # of 5,000 that it sustains; with load, reader and storefront 1.7 of two cores


@pytest.mark.soak
def test_soak(trial: Trial, stack: Stack, job: str, soak_minutes: float) -> None:
    """Half of what it sustains: memory, open files, threads, RocksDB and checkpoint time stay as they are."""
    samples: list[dict[str, float]] = []
    begun = time.monotonic()
    place = int(stack.injector.working_taskmanager().rsplit("-", 1)[1])
    reporter = f"http://127.0.0.1:{stack.settings.stack.flink_metrics_port + 1 + place}/metrics"

    def sample(_: float) -> None:
        while time.monotonic() - begun < soak_minutes * 60 - 10:
            time.sleep(10)
            process = psutil.Process(stack.injector.pid("taskmanager"))
            done = stack.cluster.get(f"/jobs/{job}/checkpoints")["latest"]["completed"]
            size = sum(f.stat().st_size for f in stack.layout.checkpoints.rglob("*") if f.is_file())
            samples.append(
                {
                    "at": time.monotonic() - begun,
                    **{name: float(value) for name, value in left_over(process).items()},
                    **parts_of_memory(process, httpx.get(reporter).text),
                    "checkpoint_ms": float(done["end_to_end_duration"]),
                    "checkpoints_MB": size / 2**20,
                    "storefront_MB": psutil.Process(stack.injector.pid("storefront")).memory_info().rss / 2**20,
                    "broker_MB": psutil.Process(stack.injector.pid("kafka")).memory_info().rss / 2**20,
                }
            )

    trial(f"soak {soak_minutes:.0f} min", rate=SOAK_RATE, seconds=soak_minutes * 60, during=sample, restarts=False)
    warm = [s for s in samples if s["at"] > soak_minutes * 60 / 3]
    slopes = {n: slope_an_hour([s["at"] for s in warm], [s[n] for s in warm]) for n in warm[0] if n != "at"}
    note = "; ".join(
        f"{n} {warm[-1][n]:.0f}, {slope:+.1f} +- {half:.1f} an hour" for n, (slope, half) in slopes.items()
    )
    # the block cache fills up to its bound, which an hour does not reach; what has no bound must not grow
    grown = {name: slope - half for name, (slope, half) in slopes.items()}
    kept = grown["threads"] < 5 and grown["files"] < 20 and grown["without_block_cache_MB"] < 10
    Path(REPORT.parent / "soak.json").write_text(json.dumps(samples))
    record({"name": f"soak {soak_minutes:.0f} min: slopes", "note": note, "verdict": Verdict.of(kept)})
    assert kept, note
