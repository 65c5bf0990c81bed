"""What comes in: poison, duplicates, disorder, odd clocks, bombs, bursts, a backlog, erasures."""

import json
import math
import random
import time
from typing import Any

import psutil
import pytest

from benchmarks.faults.evidence import Strike, struck_now
from benchmarks.faults.fault import Fault
from benchmarks.faults.recovery import FRESH_LIMIT_S
from benchmarks.faults.verdict import Verdict
from operators.records.contracts import ERASURES, EVENTS, RECOMMENDATIONS
from operators.shopper.user_state import version_of
from operators.time_units import HOUR_MS
from tests.bad_records import good_event
from tests.faults.conftest import Trial, record
from tests.running_stack import Stack
from tests.stack.topics import eventually

pytestmark = pytest.mark.slow


def test_poison_records_of_every_kind(trial: Trial) -> None:
    row = trial("1 % poison", seconds=20, poison=0.01, restarts=False)
    assert row.dead_letters > row.events / 200


def test_duplicates(trial: Trial) -> None:
    trial("10 % duplicates", seconds=20, duplicates=0.1, restarts=False)


@pytest.mark.manual
def test_poison_and_duplicates_while_a_taskmanager_dies(trial: Trial) -> None:
    trial("poison, duplicates, kill", Fault("kill", "taskmanager"), poison=0.01, duplicates=0.1)


def published(stack: Stack, name: str, events: list[dict[str, Any]]) -> None:
    """Publishes, waits for the lists, compares with the oracle, and records the row."""
    from benchmarks.faults.oracle import Oracle
    from operators.refresh.refresh_records import DIGEST_HEADER

    start, lists_start = stack.topics.ends(EVENTS), stack.topics.ends(RECOMMENDATIONS)
    begun = time.monotonic()
    stack.topics.publish(events)
    oracle = Oracle(stack.settings, stack.topics.read(EVENTS, start))
    wanted = {user: version_of(state) for user, state in oracle.states.items() if version_of(state)}

    def caught_up() -> Any:
        lists = stack.topics.newest_lists(lists_start)
        return all(user in lists and lists[user][0]["version"] == v for user, v in wanted.items()) and lists

    assert wanted, "somebody must be owed a list"
    lists = eventually(caught_up, 60)
    digests = oracle.digests(wanted)
    mismatched = sum(lists[user][1][DIGEST_HEADER].decode() != digests[user] for user in wanted)
    outcomes = dict(oracle.outcomes)
    seconds = round(time.monotonic() - begun, 1)
    row = {"name": name, "events": outcomes["read"], "users": len(wanted), "mismatched": mismatched, "lost": 0}
    struck = f"the oracle refuses {outcomes.get('dead', 0)} of the events"
    record(
        row
        | {
            "struck": struck,
            "note": f"{outcomes}, all answered after {seconds} s",
            "verdict": Verdict.of(mismatched == 0),
        }
    )
    assert mismatched == 0


def test_out_of_order_within_and_beyond_bounds(stack: Stack, job: str) -> None:
    """Order is that of arrival; a time before the retention is a dead letter, and both say the same on replay."""
    chance, now, tag = random.Random(5), int(time.time() * 1000), f"disorder{time.time_ns()}"
    events = [
        good_event(
            now - chance.choice((0, 1_000, 60_000, 24 * HOUR_MS, 6 * 24 * HOUR_MS, 9 * 24 * HOUR_MS)),
            event_id=f"{tag}-{n}",
            user_id=f"{tag}-{n % 500}",
            item_id=f"{85000 + n % 50}A",
        )
        for n in range(20_000)
    ]
    published(stack, "out of order, 1 s to 9 days", events)


def test_clocks_that_are_wrong(stack: Stack, job: str) -> None:
    """An hour back counts, an hour ahead is clamped, 2038 and negative times are dead letters."""
    now, tag = int(time.time() * 1000), f"clock{time.time_ns()}"
    times = (now, now - HOUR_MS, now + HOUR_MS, 2**31 * 1000, 2**31 * 1000 - 1, -1, 0, 2**63 - 1)
    events = [
        good_event(times[n % len(times)], event_id=f"{tag}-{n}", user_id=f"{tag}-{n % 499}", item_id="22423")
        for n in range(20_000)
    ]
    published(stack, "clocks +-1 h, 2038, negative", events)


def test_schema_drift(stack: Stack, job: str) -> None:
    """New fields and a newer schema_version are read, a changed type is a dead letter."""
    now, tag = int(time.time() * 1000), f"drift{time.time_ns()}"
    drifts: tuple[dict[str, Any], ...] = (
        {"new_field": {"a": [1, 2]}},
        {"schema_version": 99},
        {"price": "19.90"},
        {"item_id": 22423},
        {"event_time": "2026-13-45T00:00:00Z"},
        {"context": {"page": "x", "depth": {"deep": [None]}}},
    )
    events = [
        good_event(now, event_id=f"{tag}-{n}", user_id=f"{tag}-{n % 500}") | drifts[n % len(drifts)]
        for n in range(20_000)
    ]
    published(stack, "schema drift", events)


def test_oversized_records_and_bombs_take_no_memory(stack: Stack, job: str, no_restart: None) -> None:
    """300 records of 900 KB of one repeated byte, compressed on the way: 270 MB when unpacked, each a dead letter."""
    from kafka import KafkaProducer

    from operators.records.contracts import DEAD_LETTERS

    process = psutil.Process(stack.injector.pid("taskmanager"))
    count, letters_start = 300, stack.topics.ends(DEAD_LETTERS)
    publish_bombs(stack, KafkaProducer, 50)
    eventually(lambda: len(stack.topics.dead_letters(letters_start)) == 50, 60)
    before, letters_start = process.memory_info().rss, stack.topics.ends(DEAD_LETTERS)
    publish_bombs(stack, KafkaProducer, count)
    eventually(lambda: len(stack.topics.dead_letters(letters_start)) == count, 120)
    grown = (process.memory_info().rss - before) / 2**20
    record(
        {
            "name": "oversized and bombs",
            "events": count,
            "note": f"RSS grew by {grown:.0f} MB",
            "verdict": Verdict.of(grown < 300),
        }
    )
    assert grown < 300


def publish_bombs(stack: Stack, producer_class: Any, count: int) -> None:
    options = stack.settings.kafka.producer_options() | {"compression_type": "gzip", "max_request_size": 2_000_000}
    producer = producer_class(**options)
    for number in range(count):
        body = good_event(user_id=f"bomb{number}", query="x" * 900_000)
        producer.send(EVENTS, key=body["user_id"].encode(), value=json.dumps(body).encode())
    producer.flush()
    producer.close()


@pytest.mark.manual
def test_a_burst_of_twenty_times_the_load_for_a_minute(trial: Trial, stack: Stack, job: str) -> None:
    """The order of shedding: lists are coalesced, then promises wait longer, then Kafka keeps what waits; no event is
    dropped. Memory stays, and once the backlog is answered lists are as fresh as before."""
    process = psutil.Process(stack.injector.pid("taskmanager"))
    quiet = trial("200/s before the burst", rate=200, seconds=20, restarts=False)
    before = process.memory_info().rss
    burst = trial("burst of 4,000/s for 60 s", rate=4000, seconds=60, restarts=False)
    after = process.memory_info().rss
    again = trial("200/s after the burst", rate=200, seconds=20, restarts=False)
    late = [second for second, p95 in enumerate(burst.seconds_p95) if p95 is None or p95 >= FRESH_LIMIT_S]
    fresh_after = max(0, late[-1] + 1 - 60) if late else 0
    note = f"RSS {before / 2**20:.0f} -> {after / 2**20:.0f} MB; fresh again {fresh_after} s after the burst's end"
    slowest = max(math.inf if p95 is None else p95 for p95 in again.seconds_p95[5:-1])
    kept = after - before < 400 * 2**20 and fresh_after <= 30 and slowest < FRESH_LIMIT_S
    record(
        {"name": "burst of 20 times", "note": note, "verdict": Verdict.of(kept), "events": quiet.events + again.events}
    )
    assert kept, (note, again.seconds_p95)


@pytest.mark.manual
def test_a_backlog_is_caught_up(stack: Stack, job: str, demo_bundle: Any) -> None:
    """The job is down while 200,000 events come; resumed, it reads them all."""
    location = json.loads(stack.liveshelf("stop", "--json").stdout)["savepoint"]
    now, tag, chance = int(time.time() * 1000), f"backlog{time.time_ns()}", random.Random(3)
    events = [
        good_event(
            now - chance.randrange(24 * HOUR_MS),
            event_id=f"{tag}-{n}",
            user_id=f"{tag}-{chance.randrange(5000)}",
            item_id="22423",
        )
        for n in range(200_000)
    ]
    start = stack.topics.ends(EVENTS)
    stack.topics.publish(events)
    begun, lists_start = time.monotonic(), stack.topics.ends(RECOMMENDATIONS)
    stack.liveshelf("submit", "--from-savepoint", location)
    from benchmarks.faults.oracle import Oracle

    oracle = Oracle(stack.settings, stack.topics.read(EVENTS, start))
    wanted = {user: version_of(state) for user, state in oracle.states.items()}

    def caught_up() -> bool:
        lists = stack.topics.newest_lists(lists_start)
        return all(user in lists and lists[user][0]["version"] == version for user, version in wanted.items())

    eventually(caught_up, 180)
    seconds = time.monotonic() - begun
    note = f"all lists right after {seconds:.0f} s, submission and reading included"
    record(
        {"name": "a day's backlog", "events": 200_000, "users": 5000, "lost": 0, "note": note, "verdict": Verdict.KEPT}
    )


@pytest.mark.manual
def test_erasures_while_a_taskmanager_dies(trial: Trial, stack: Stack) -> None:
    """Who was erased under load and faults has no list; who came back after it has one of the new events alone."""
    now, tag = int(time.time() * 1000), f"erased{time.time_ns()}"
    gone, back = [f"{tag}-gone{n}" for n in range(200)], [f"{tag}-back{n}" for n in range(200)]
    start = stack.topics.ends(RECOMMENDATIONS)
    stack.topics.publish(
        good_event(now, event_id=f"{user}-{n}", user_id=user, item_id="22423") for user in gone + back for n in range(3)
    )

    asked = stack.topics.ends(ERASURES)

    def erase_meanwhile(begun: float) -> Strike:
        time.sleep(max(0.0, begun + 7 - time.monotonic()))
        for user in gone + back:
            stack.topics.send(ERASURES, user, {"user_id": user, "requested_at": int(time.time() * 1000)})
        stack.topics.producer.flush()
        count = sum(end - asked[place] for place, end in stack.topics.ends(ERASURES).items())
        return struck_now("erasures", f"{count} on the topic" if count else "")

    trial("erasures and a kill", Fault("kill", "taskmanager"), during=erase_meanwhile)
    later = int(time.time() * 1000) + 2000
    stack.topics.publish(good_event(now, event_id=f"{user}-late", user_id=user, item_id="85123A") for user in gone)
    stack.topics.publish(good_event(later, event_id=f"{user}-new", user_id=user, item_id="85123A") for user in back)

    def as_it_must_be() -> bool:
        lists = stack.topics.newest_lists(start)
        return all(lists[user][0] is None for user in gone) and all(
            (made := lists[user][0]) is not None and made["event_id"] == f"{user}-new" for user in back
        )

    eventually(as_it_must_be, 60)
