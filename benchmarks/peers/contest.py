"""Side by side: the same events, the same kernel, the same broker, one after the other in one run.

Each has topics of its own. Three things are measured: a backlog, freshness at rising rates, and what a kill -9 of all its
processes in the middle of 1,000 events/s loses or does twice.
"""

import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.freshness import Readings, percentiles, sent_per_user, unanswered
from benchmarks.load import Load, in_the_background
from benchmarks.load import run as run_load
from benchmarks.machine import rss_mb
from benchmarks.peers.contestants import Peer, Running, install
from benchmarks.peers.work import Contest
from benchmarks.throughput import Written, backlog, watch
from operators.settings import Settings
from operators.topic_specs import TopicSpec
from pipelines.topic_admin import ensure_topics

RATES = (100, 500, 1000)
USERS, WARM_S, MEASURED_S = 5_000, 10.0, 15.0
KILL_RATE, KILL_S, AWAY_S, RECOVER_S = 1_000, 16.0, 1.0, 60.0


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
    python, found = install(peer, folder), []
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
        found.append(row)
    return found


def _backlog(settings: Settings, items: list[str], contest: Contest, running: Running, events: int) -> dict[str, Any]:
    """Lists/s and CPU while it works off what was published before it began."""
    run_load(msgspec.structs.replace(backlog(settings, items, events), topic=contest.source))
    with Written(settings, contest.target) as written, running:

        def alive() -> int:
            running.check()
            return written()

        found = watch(alive, 0, running.pids, events)
        memory = sum(rss_mb(running.pids()).values())
    cpu = sum(found["cpu_s_per_1000"].values()) if "cpu_s_per_1000" in found else None
    return {"lists_per_s": found["lists_per_s"], "cpu_s_per_1000": cpu and round(cpu, 3), "rss_mb": memory}


def _freshness(settings: Settings, items: list[str], contest: Contest, running: Running, _: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with running:
        time.sleep(WARM_S)
        for rate in RATES:
            running.check()
            found |= fresh(settings, items, contest.source, contest.target, rate)
    return found


def _killed(settings: Settings, items: list[str], contest: Contest, running: Running, _: int) -> dict[str, Any]:
    def kill() -> None:
        running.kill()
        time.sleep(AWAY_S)
        running.start()

    with running:
        time.sleep(WARM_S)
        return killed(settings, items, contest.source, contest.target, kill)


def fresh(settings: Settings, items: list[str], source: str, target: str, rate: float) -> dict[str, Any]:
    """p50 and p99 of freshness in ms at a rate; users without an answer, where there are any."""
    load = _load(settings, items, source, rate, WARM_S + MEASURED_S)
    readings = Readings(settings, load.tag, target)
    count_from_ms = int((time.time() + WARM_S) * 1000)
    missing = _answered(load, readings, lambda: None, count_from_ms, 5.0)
    found: dict[str, Any] = {f"{p}_{rate:.0f}": percentiles(readings.freshness_us)[p] for p in ("p50", "p99")}
    return found | ({f"unanswered_{rate:.0f}": missing} if missing else {})


def killed(settings: Settings, items: list[str], source: str, target: str, kill: Callable[[], None]) -> dict[str, Any]:
    """After `kill` in the middle of a load: users whose last list misses an event, who has one counted twice, silence."""
    load = _load(settings, items, source, KILL_RATE, KILL_S)
    readings, begun, done = Readings(settings, load.tag, target), time.monotonic(), False
    killer = threading.Thread(target=kill)

    def after_half() -> None:
        nonlocal done
        if not done and time.monotonic() - begun > KILL_S / 2:
            done = True
            killer.start()  # beside the reader: what it reads late would shorten the silence

    lost = _answered(load, readings, after_half, 0, RECOVER_S)
    killer.join()
    wanted = sent_per_user(load)
    return {
        "killed_lost": lost,
        "killed_twice": sum(version > wanted[user] for user, version in readings.newest.items()),
        "killed_silence_s": round(readings.silence_s, 1),
    }


def _answered(load: Load, readings: Readings, meanwhile: Callable[[], None], from_ms: int, rest_s: float) -> int:
    """Loads and reads until all is answered, or `rest_s` after the load; users who are not."""
    generator = in_the_background(load)
    while generator.poll() is None:
        meanwhile()
        readings.poll(from_ms)
    wanted = sent_per_user(load)
    deadline = time.monotonic() + rest_s
    while (missing := unanswered(wanted, readings.newest)) and time.monotonic() < deadline:
        readings.poll(from_ms)
    readings.close()
    return missing


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
