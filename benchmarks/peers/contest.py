"""Compares stream processors in one run, one after the other: same events, same kernel, same broker.

Each has its own topics. Three measurements: a backlog, freshness at rising rates, and the lists lost or made twice when
all its processes are killed (-9) at 1,000 events/s.
"""

import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.measuring.conditions import Parts, too_many_fallbacks
from benchmarks.measuring.load import Load, behind_its_rate, in_the_background, publish, report_of
from benchmarks.measuring.machine import rss_mb
from benchmarks.measuring.measured import percentiles_ms, total, unless
from benchmarks.peers.contestants import Peer, Running, install
from benchmarks.running_stack.freshness import Readings, answered, sent_per_user, without_list
from benchmarks.running_stack.throughput import Written, backlog, watch
from operators.records.topic_specs import TopicSpec
from operators.settings import Settings
from pipelines.reference_jobs.work import Contest
from pipelines.topics.topic_admin import ensure_topics

RATES = (100, 500, 1000)
USERS, WARM_S, MEASURED_S = 5_000, 10.0, 15.0
KILL_RATE, KILL_S, AWAY_S, RECOVER_S = 1_000, 16.0, 1.0, 60.0
PATIENCE_S = 900.0  # with a backlog: the slowest of them makes some hundred lists a second


def contest_of(settings: Settings, peer: Peer, bundle: Path, folder: Path, *, batched: bool) -> Contest:
    """Topics, group and state folder that nobody has used."""
    name = f"bench.{peer.name}.{random.randrange(10**9)}"
    contest = Contest(
        bootstrap=settings.kafka.bootstrap,
        source=f"{name}.events",
        target=f"{name}.lists",
        group=name,
        bundle=str(bundle),
        folder=str(folder / name),
        batched=batched,
    )
    # the client's own clock is the record's, as each of them reads it
    ensure_topics(settings.kafka, [TopicSpec(topic, "user_id", {}) for topic in (contest.source, contest.target)])
    return contest


def measure(
    settings: Settings, items: list[str], peer: Peer, bundle: Path, folder: Path, events: int
) -> list[dict[str, Any]]:
    """Naive and, where it is not ours, at its best."""
    python, rows = install(peer, folder), []
    for batched in (False, True) if peer.workers else (False,):
        row: dict[str, Any] = {
            "name": peer.name,
            "how": f"batched, {peer.workers} workers" if batched else "each event, 1 worker",
        }
        for part in (_backlog, _freshness, _killed) if batched else (_backlog, _freshness):
            contest = contest_of(settings, peer, bundle, folder, batched=batched)
            running = Running(peer, python, contest, folder / f"{peer.name}.log")
            row |= part(settings, items, contest, running, events)
            for state in folder.glob(f"{Path(contest.folder).name}*"):
                shutil.rmtree(state)
        rows.append(row)
    return rows


def _backlog(settings: Settings, items: list[str], contest: Contest, running: Running, events: int) -> dict[str, Any]:
    """Lists/s and CPU while it works off what was published before it began."""
    publish(msgspec.structs.replace(backlog(settings, items, events), topic=contest.source))
    with Written(settings, contest.target) as written, running:

        def alive() -> int:
            running.check()
            return written()

        figures = watch(alive, 0, Parts(running.pids), events, PATIENCE_S)
        memory = total(rss_mb(running.pids()).values(), 0)
    cpu = total(figures["cpu_s_per_1000"].values(), 3)
    return {"lists_per_s": figures["lists_per_s"], "cpu_s_per_1000": cpu, "rss_mb": memory}


def _freshness(settings: Settings, items: list[str], contest: Contest, running: Running, _: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    with running:
        time.sleep(WARM_S)
        for rate in RATES:
            running.check()
            figures |= fresh(settings, items, contest.source, contest.target, rate)
    return figures


def _killed(settings: Settings, items: list[str], contest: Contest, running: Running, _: int) -> dict[str, Any]:
    def kill() -> None:
        running.kill()
        time.sleep(AWAY_S)
        running.start()

    with running:
        time.sleep(WARM_S)
        return killed(settings, items, contest.source, contest.target, kill)


def fresh(settings: Settings, items: list[str], source: str, target: str, rate: float) -> dict[str, Any]:
    """p50 and p99 of freshness in ms at a rate; not measured where a user has no answer or the load fell behind."""
    load = _load(settings, items, source, rate, WARM_S + MEASURED_S)
    readings = Readings(settings, load.tag, target)
    count_from_ms = int((time.time() + WARM_S) * 1000)
    missing, reasons = _answered(load, readings, lambda: None, count_from_ms, 5.0)
    readings.close()
    reasons += without_list(missing, sent_per_user(load)) + too_many_fallbacks(readings.sources)
    percentiles = percentiles_ms(readings.freshness_us)
    return unless(reasons, {f"{p}_{rate:.0f}": percentiles[p] for p in ("p50", "p99")})


def killed(settings: Settings, items: list[str], source: str, target: str, kill: Callable[[], None]) -> dict[str, Any]:
    """After `kill` in the middle of a load: users whose last list misses an event, who has one counted twice, silence.

    Not measured where the kill failed, the load did not keep its rate, or the reader did not reach the end.
    """
    load = _load(settings, items, source, KILL_RATE, KILL_S)
    readings, started_s, failures = Readings(settings, load.tag, target), time.monotonic(), list[str]()

    def strike() -> None:
        try:
            kill()
        except Exception as error:  # of a thread nobody hears: a contestant that was not killed would lose nothing
            failures.append(f"the kill failed: {error!r}")

    killer = threading.Thread(target=strike)

    def after_half() -> None:
        if killer.ident is None and time.monotonic() - started_s > KILL_S / 2:
            killer.start()  # beside the reader: what it reads late would shorten the silence

    lost, reasons = _answered(load, readings, after_half, 0, RECOVER_S)
    if killer.ident is None:
        reasons.append("the load ended before the kill")
    else:
        killer.join()
    sent, silence_s = sent_per_user(load), readings.silence_s()
    readings.close()
    figures = {
        "killed_lost": lost,
        "killed_twice": sum(version > sent[user] for user, version in readings.newest.items()),
        "killed_silence_s": silence_s,
    }
    return unless(reasons + failures, figures)


def _answered(
    load: Load, readings: Readings, meanwhile: Callable[[], None], from_ms: int, rest_s: float
) -> tuple[int, list[str]]:
    """Loads and reads until all is answered, or `rest_s` after the load: users who are not, and why that says nothing."""
    generator = in_the_background(load)
    while generator.poll() is None:
        meanwhile()
        readings.poll(from_ms)
    reasons = behind_its_rate(report_of(generator), load.rate)
    missing = answered(sent_per_user(load), readings, from_ms, rest_s)
    return missing, reasons + readings.missed()


def _load(settings: Settings, items: list[str], topic: str, rate: float, seconds: float) -> Load:
    return Load(
        client=settings.kafka.client_options(),
        items=items,
        count=int(rate * seconds),
        rate=rate,
        users=USERS,
        tag=f"peer{random.randrange(10**9)}",
        topic=topic,
    )
