"""Compares stream processors in one run, one after the other: same events, same kernel, same broker.

Each engine has its own topics. Three measurements: a backlog; freshness at rising rates; and the lists lost or written
twice when all its processes are killed (kill -9) at 1,000 events/s.
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
from benchmarks.measuring.load import Load, in_the_background, publish, rate_violations, report_of
from benchmarks.measuring.machine import rss_mb
from benchmarks.measuring.measured import measured_unless, percentiles_ms, total
from benchmarks.peers.contestants import Peer, Workers, install
from benchmarks.running_stack.freshness import Readings, missing_list_reasons, sent_per_user, wait_for_lists
from benchmarks.running_stack.throughput import RecordCount, backlog, watch
from operators.records.topic_specs import TopicSpec
from operators.settings import Settings
from pipelines.reference_jobs.work import Contest
from pipelines.topics.topic_admin import ensure_topics

RATES = (100, 500, 1000)
USERS, WARM_S, MEASURED_S = 5_000, 10.0, 15.0
KILL_RATE, KILL_S, AWAY_S, RECOVER_S = 1_000, 16.0, 1.0, 60.0
PATIENCE_S = 900.0  # for a backlog: the slowest engine makes some hundred lists a second


def contest_of(settings: Settings, peer: Peer, bundle: Path, folder: Path, *, batched: bool) -> Contest:
    """A contest with new topics, a new group and a new state folder."""
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
    # records carry the client's clock, which every engine reads
    ensure_topics(settings.kafka, [TopicSpec(topic, "user_id", {}) for topic in (contest.source, contest.target)])
    return contest


def measure(
    settings: Settings, items: list[str], peer: Peer, bundle: Path, folder: Path, events: int
) -> list[dict[str, Any]]:
    """A row for the naive version and, except for PyFlink, one for the best version."""
    python, rows = install(peer, folder), []
    for batched in (False, True) if peer.workers else (False,):
        row: dict[str, Any] = {
            "name": peer.name,
            "how": f"batched, {peer.workers} workers" if batched else "each event, 1 worker",
        }
        for part in (_backlog, _freshness, _kill) if batched else (_backlog, _freshness):
            contest = contest_of(settings, peer, bundle, folder, batched=batched)
            workers = Workers(peer, python, contest, folder / f"{peer.name}.log")
            row |= part(settings, items, contest, workers, events)
            for state in folder.glob(f"{Path(contest.folder).name}*"):
                shutil.rmtree(state)
        rows.append(row)
    return rows


def _backlog(settings: Settings, items: list[str], contest: Contest, workers: Workers, events: int) -> dict[str, Any]:
    """Lists/s and CPU while the engine drains a backlog that was published before its start."""
    publish(msgspec.structs.replace(backlog(settings, items, events), topic=contest.source))
    with RecordCount(settings, contest.target) as list_count, workers:

        def alive() -> int:
            workers.check()
            return list_count()

        figures = watch(alive, 0, Parts(workers.pids), events, PATIENCE_S)
        memory = total(rss_mb(workers.pids()).values(), 0)
    cpu = total(figures["cpu_s_per_1000"].values(), 3)
    return {"lists_per_s": figures["lists_per_s"], "cpu_s_per_1000": cpu, "rss_mb": memory}


def _freshness(settings: Settings, items: list[str], contest: Contest, workers: Workers, _: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    with workers:
        time.sleep(WARM_S)
        for rate in RATES:
            workers.check()
            figures |= measure_freshness(settings, items, contest.source, contest.target, rate)
    return figures


def _kill(settings: Settings, items: list[str], contest: Contest, workers: Workers, _: int) -> dict[str, Any]:
    def kill() -> None:
        workers.kill()
        time.sleep(AWAY_S)
        workers.start()

    with workers:
        time.sleep(WARM_S)
        return measure_kill(settings, items, contest.source, contest.target, kill)


def measure_freshness(settings: Settings, items: list[str], source: str, target: str, rate: float) -> dict[str, Any]:
    """p50 and p99 of freshness in ms at a rate; not measured if a user has no list or the load fell behind."""
    load = _load(settings, items, source, rate, WARM_S + MEASURED_S)
    readings = Readings(settings, load.tag, target)
    count_from_ms = int((time.time() + WARM_S) * 1000)
    missing_users, reasons = _load_and_read(load, readings, lambda: None, count_from_ms, 5.0)
    readings.close()
    reasons += missing_list_reasons(missing_users, sent_per_user(load)) + too_many_fallbacks(readings.sources)
    percentiles = percentiles_ms(readings.freshness_us)
    return measured_unless(reasons, {f"{p}_{rate:.0f}": percentiles[p] for p in ("p50", "p99")})


def measure_kill(
    settings: Settings, items: list[str], source: str, target: str, kill: Callable[[], None]
) -> dict[str, Any]:
    """Calls `kill` in the middle of a load: users whose last list lacks an event, users with an event counted twice, silence.

    Not measured if the kill failed, the load did not keep its rate, or the reader did not reach the end.
    """
    load = _load(settings, items, source, KILL_RATE, KILL_S)
    readings, started_s, failures = Readings(settings, load.tag, target), time.monotonic(), list[str]()

    def strike() -> None:
        try:
            kill()
        except Exception as error:  # an error in a thread would go unseen, and an engine that lives on loses nothing
            failures.append(f"the kill failed: {error!r}")

    killer = threading.Thread(target=strike)

    def after_half() -> None:
        if killer.ident is None and time.monotonic() - started_s > KILL_S / 2:
            killer.start()  # in a thread: a reader that waits would measure a shorter silence

    missing_users, reasons = _load_and_read(load, readings, after_half, 0, RECOVER_S)
    if killer.ident is None:
        reasons.append("the load ended before the kill")
    else:
        killer.join()
    event_counts, silence_s = sent_per_user(load), readings.silence_s()
    readings.close()
    figures = {
        "killed_lost": missing_users,
        "killed_twice": sum(version > event_counts[user] for user, version in readings.newest.items()),
        "killed_silence_s": silence_s,
    }
    return measured_unless(reasons + failures, figures)


def _load_and_read(
    load: Load, readings: Readings, meanwhile: Callable[[], None], from_ms: int, rest_s: float
) -> tuple[int, list[str]]:
    """Runs the load and reads until every user has a list, at most `rest_s` after the load: (users without one, reasons
    why the count is invalid)."""
    generator = in_the_background(load)
    while generator.poll() is None:
        meanwhile()
        readings.poll(from_ms)
    reasons = rate_violations(report_of(generator), load.rate)
    missing_users = wait_for_lists(sent_per_user(load), readings, from_ms, rest_s)
    return missing_users, reasons + readings.incomplete_reasons()


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
