"""The soak: load, a live catalogue, erasures and hostile records for 40 minutes. What grows? What was answered wrong?

`make soak`. SOAK_MINUTES (40), SOAK_RATE (1,000 events/s); SOAK_POISONOUS_IDS=0 and SOAK_RECEIPTS=0 leave out what a job of
before has no answer to. The result is in `.liveshelf-faults/soak.json` and `soak.md`.
"""

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.faults.evidence import Strike, struck_now
from benchmarks.faults.hostile_feed import Feed, Sent, erased_user, erasure_id, in_the_background
from benchmarks.faults.memory import MB, Growth, Slope, Watch, growths, java_heap_mb, memory_of, slope_an_hour, table
from benchmarks.faults.verdict import Verdict
from operators.kafka_io.read_to_end import Offsets
from operators.records.contracts import DEAD_LETTERS, HEADER_PREFIX, RECEIPTS
from operators.shopper.recent_states import AGE_S
from tests.faults.conftest import REPORT, Trial, record
from tests.faults.test_leaks import left_over
from tests.running_stack import Stack

pytestmark = [pytest.mark.soak, pytest.mark.manual]

RATE = float(os.environ.get("SOAK_RATE", "1000"))
POISONOUS_IDS, RECEIPTS_WRITTEN = (os.environ.get(f"SOAK_{name}", "1") == "1" for name in ("POISONOUS_IDS", "RECEIPTS"))
EVERY_S = 5.0
QUIET_S = 60.0  # at the end, without the feed: then the newest lists are all of the newest catalogue
MB_AN_HOUR = 10.0
FULL_S = 2.2 * AGE_S  # until the cache of states holds its two generations: memory rises in a step with each
SLOPE_S = 420.0  # a shorter time gives no slope
PROMETHEUS_MB = 400  # the samples of two to three hours lie in its memory, then in files
SCORER_MB = 160  # without its encoder cache
JVM_MB = 350  # beside the heap of a JVM with few threads: its code, its classes, its buffers


class Soak:
    """What is watched beside the load."""

    def __init__(self, stack: Stack, job: str, seconds: float, feed: Feed) -> None:
        self._stack, self._job, self._seconds, self._feed = stack, job, seconds, feed
        self._reporter = ""
        self.watch = Watch(self._pids)
        self.others: list[dict[str, float]] = []
        self.sent: Sent | None = None
        self.error: BaseException | None = None

    def run(self, begun: float) -> Strike:
        """`during` of a trial, in a thread of its own."""
        try:
            self._run(begun)
            count = sum(self.sent.hostile.values()) if self.sent else 0
            return struck_now("hostile feed", f"{count} hostile records" if count else "", lasts=True)
        except BaseException as error:
            self.error = error
            raise

    def _run(self, begun: float) -> None:
        place = int(self._stack.injector.working_taskmanager().rsplit("-", 1)[1])
        port = self._stack.settings.stack.flink_metrics_port + 1 + place
        self._reporter = f"http://127.0.0.1:{port}/metrics"
        feed = in_the_background(self._feed)
        try:
            quiet_from, end = begun + self._seconds - min(QUIET_S, self._seconds / 4), begun + self._seconds
            while time.monotonic() < end - EVERY_S:
                self.watch.sample()
                self.others.append(self._others())
                if feed.poll() is None and time.monotonic() > quiet_from:
                    feed.terminate()
                time.sleep(EVERY_S)
            said, _ = feed.communicate(timeout=60)
        finally:
            feed.kill()
        assert feed.returncode == 0
        self.sent = msgspec.json.decode(said, type=Sent)

    def _pids(self) -> dict[str, int]:
        pids = self._stack.supervisor.pids()
        with contextlib.suppress(StopIteration):  # there is none now: that counts as a restart
            pids["scorer"] = self._stack.injector.scorer()
        return pids

    def _others(self) -> dict[str, float]:
        """Of the TaskManager that works, and of its checkpoints."""
        pid = self._stack.injector.pid("taskmanager")
        left = left_over(psutil.Process(pid))
        done = self._stack.cluster.get(f"/jobs/{self._job}/checkpoints")["latest"]["completed"]
        found = {"threads": float(left["threads"]), "files": float(left["files"])}
        for family in text_string_to_metric_families(httpx.get(self._reporter, timeout=30).text):
            for kind, ending in REPORTED.items():
                if family.name.endswith(ending):
                    found[kind] = max(found.get(kind, 0.0), *(sample.value / MB for sample in family.samples))
        # the columns of a slot share one block cache, which fills up to its bound for hours; so does the heap
        found["touched_heap_MB"] = java_heap_mb(pid)
        bounded = found["touched_heap_MB"] + found.get("block_cache_MB", 0.0)
        found["without_heap_and_block_cache_MB"] = memory_of(pid).anonymous - bounded
        return found | {"checkpoint_ms": float(done["end_to_end_duration"]) if done else 0.0}


REPORTED = {
    "java_heap_MB": "Status_JVM_Memory_Heap_Committed",
    "java_other_MB": "Status_JVM_Memory_NonHeap_Used",
    "java_direct_MB": "Status_JVM_Memory_Direct_MemoryUsed",
    "block_cache_MB": "rocksdb_block_cache_usage",
}


def bounds_mb(stack: Stack) -> dict[str, float]:
    """What JVMs take by their settings at most, which touch their heaps bit by bit, Prometheus, and the scorer with its
    encoder cache, which fills up user by user. The others of ours must be flat."""
    settings = stack.settings.stack
    managers = {f"taskmanager-{n}": float(settings.taskmanager_memory_mb) for n in range(settings.taskmanagers)}
    return managers | {
        "kafka": settings.broker_heap_mb + JVM_MB,
        "jobmanager": 1024,
        "zookeeper": 64 + JVM_MB,
        "prometheus": PROMETHEUS_MB,
        "scorer": SCORER_MB + stack.settings.scorer.cache_mb,
    }


def wrongly_erased(stack: Stack, sent: Sent, tag: str) -> list[str]:
    """Erased users who have a list, as the storefront serves it, and those who came back and have none."""
    wrong = []
    with httpx.Client(base_url=stack.shop) as shop:
        for number in range(sent.erased):
            user, back = erased_user(tag, number), number % 2 == 1
            if back and number >= sent.returned:
                continue
            answer = shop.get(f"/v1/users/{user}/recommendations").json()
            # None: the job read the event before the erasure, whose own list it is
            if answer["known"] != back or (back and answer["event_id"] not in (f"{user}-after", None)):
                wrong.append(user)
    return wrong


def without_receipt(stack: Stack, sent: Sent, tag: str) -> list[str]:
    """Erasures that no receipt tells of."""
    told = {json.loads(record.value)["erasure_id"] for record in stack.topics.read(RECEIPTS)}
    return [name for n in range(sent.erased) if (name := erasure_id(tag, n)) not in told]


def reasons(stack: Stack, start: Offsets) -> dict[str, int]:
    """Dead letters since `start`, by reason."""
    found: dict[str, int] = {}
    for letter in stack.topics.dead_letters(start):
        reason = dict(letter.headers)[f"{HEADER_PREFIX}exception.class.name"].decode()
        found[reason] = found.get(reason, 0) + 1
    return found


@dataclass
class Measured:
    """What the soak says of memory, whatever the trial says of the lists."""

    rows: list[Growth]
    others: dict[str, Slope]

    @classmethod
    def of(cls, soak: Soak, stack: Stack, since_s: float) -> "Measured":
        """Slopes of the samples from `since_s` on."""
        warm = [(at, other) for at, other in zip(soak.watch.at_s, soak.others, strict=True) if at >= since_s]
        at = [moment for moment, _ in warm]
        others = {name: slope_an_hour(at, [other[name] for _, other in warm]) for name in warm[0][1]}
        return cls(growths(soak.watch, since_s, MB_AN_HOUR, bounds_mb(stack)), others)

    @property
    def kept(self) -> bool:
        """Every process flat or below its bound and none restarted; the TaskManager's threads and files too."""
        working = self.others["without_heap_and_block_cache_MB"].lowest < MB_AN_HOUR
        steady = self.others["threads"].lowest < 5 and self.others["files"].lowest < 20
        return working and steady and all(one.kept for one in self.rows)

    def text(self, newest: dict[str, float]) -> str:
        """As Markdown."""
        lines = (
            f"- {n}: {newest[n]:.0f}, {one.an_hour:+.1f} +- {one.half_width:.1f} an hour"
            for n, one in self.others.items()
        )
        return "\n".join((table(self.rows), "", *lines))


def keep(measured: Measured, soak: Soak, result: dict) -> str:
    """Writes the result as JSON and as a table, and returns the table."""
    samples = [
        {"at": at, **{name: memory._asdict() for name, memory in sample.items()}, "others": other}
        for at, sample, other in zip(soak.watch.at_s, soak.watch.samples, soak.others, strict=True)
    ]
    processes = [asdict(row) | {"flat": row.flat, "kept": row.kept} for row in measured.rows]
    slopes = {name: slope._asdict() for name, slope in measured.others.items()}
    text = measured.text(soak.others[-1])
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    whole = result | {"processes": processes, "others": slopes, "samples": samples}
    (REPORT.parent / "soak.json").write_text(json.dumps(whole))
    (REPORT.parent / "soak.md").write_text(text + "\n")
    print(text)
    return text


def test_soak(trial: Trial, stack: Stack, job: str, demo_bundle: Path, soak_minutes: float) -> None:
    seconds, tag, name = soak_minutes * 60, f"feed{time.time_ns() // 1_000_000}", f"soak {soak_minutes:.0f} min"
    feed = Feed(
        client=stack.settings.kafka.client_options(),
        items=json.loads((demo_bundle / "items.json").read_text()),
        tag=tag,
        hostile_per_s=RATE / 100,
        poisonous_ids=POISONOUS_IDS,
    )
    soak, letters_from = Soak(stack, job, seconds, feed), stack.topics.ends(DEAD_LETTERS)
    result: dict[str, Any] = {"minutes": soak_minutes, "rate": RATE}
    try:
        # nothing lost, nothing twice, states and lists as offline, dead letters exactly the bad records, no restart
        row = trial(name, rate=RATE, seconds=seconds, during=soak.run, restarts=False)
        result |= {"dead_letters": row.dead_letters, "restarts": row.restarts}
    finally:
        measured = Measured.of(soak, stack, FULL_S if seconds > FULL_S + SLOPE_S else seconds / 2)
        text = keep(measured, soak, result)
    assert soak.error is None and soak.sent is not None, soak.error
    sent = soak.sent
    result |= {
        "sent": msgspec.to_builtins(sent),
        "dead_letters_by_reason": reasons(stack, letters_from),
        "wrongly_erased": wrongly_erased(stack, sent, tag),
        "without_receipt": without_receipt(stack, sent, tag) if RECEIPTS_WRITTEN else [],
    }
    keep(measured, soak, result)
    fed = sent.failed == 0 and sent.late_s < 30 and sum(sent.catalogue.values()) > 0.9 * 50 * (sent.seconds - 30)
    kept = measured.kept and fed and not result["wrongly_erased"] and not result["without_receipt"]
    note = f"{sum(sent.hostile.values())} hostile records, {sum(sent.catalogue.values())} of the catalogue, {sent.erased} erasures"
    record(
        {
            "name": f"{name}: memory",
            "note": f"{note}; {text}".replace("\n", " / ").replace("|", ","),
            "verdict": Verdict.of(kept),
        }
    )
    assert kept, (text, {name: value for name, value in result.items() if name != "sent"}, fed)
