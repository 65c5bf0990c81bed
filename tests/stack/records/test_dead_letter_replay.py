"""A thousand refused records through the real broker and job: repaired, put back once, and counted once."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from kafka.errors import KafkaError

from benchmarks.faults.oracle import Oracle
from operators.errors import BrokerError
from operators.records.contracts import DEAD_LETTERS, EVENTS, RECEIPTS
from operators.records.dead_letter import Letter
from operators.records.record_repairs import Repairs
from operators.refresh.refresh_records import DIGEST_HEADER
from pipelines.dead_letters.dead_letters import read_letters
from pipelines.dead_letters.letter_replay import Judge
from pipelines.dead_letters.replay_ledger import KafkaLedger
from tests.bad_records import good_event
from tests.running_stack import Stack
from tests.stack.topics import eventually

USERS, RECORDS = 50, 1000
FIXES = ("--fix", "all", "--rename", "product=item_id", "--event-type", "product_view=view")


def defects(now_ms: int, tag: str) -> list[tuple[str, bytes]]:
    """(key, value) of records that the job refuses, of eight kinds, and of each user of each kind."""
    found = []
    for number in range(RECORDS):
        user, kind = f"{tag}-{number % USERS}", number // USERS % 8
        fields = good_event(now_ms + number, event_id=f"{tag}{number}", user_id=user, item_id="85123A", query="query")
        key = user
        if kind == 0:
            fields["item_id"] += "\x01"
        elif kind == 1:
            key = f"{tag}-no-user"
        elif kind == 2:
            fields["event_type"] = "product_view"
        elif kind == 3:
            fields["product"] = fields.pop("item_id")
        elif kind == 4:
            fields["event_time"] = 4_102_444_800_000
        elif kind == 5:
            del fields["event_id"]
        value = json.dumps(fields).encode()
        if kind == 6:
            value = value[:-1] + b',"item_id":"22423"}'
        elif kind == 7:
            value = value.replace(b'"query"}', b'"caf\xe9"}')
        found.append((key, value))
    return found


def refuse(stack: Stack, tag: str, count: int = RECORDS) -> str:
    """Publishes the first `count` of them, waits for their letters and returns --since for these."""
    start, now_ms = stack.topics.ends(DEAD_LETTERS), int(time.time() * 1000)
    for key, value in defects(now_ms, tag)[:count]:
        stack.topics.send(EVENTS, key, value)
    stack.topics.producer.flush()
    eventually(lambda: len(stack.topics.dead_letters(start)) == count, 60)
    return datetime.fromtimestamp(now_ms / 1000, UTC).isoformat()


def replay(stack: Stack, since: str, *words: str) -> dict[str, Any]:
    return json.loads(stack.liveshelf("dead-letters", "replay", "--since", since, *words, "--json").stdout)


def check(stack: Stack, tag: str, each: int) -> None:
    """Each user's list has the version `each`, which is the oracle's, and its state digest."""
    users = [f"{tag}-{number}" for number in range(USERS)]
    oracle = Oracle(stack.settings, stack.topics.read(EVENTS))
    assert oracle.versions(users) == dict.fromkeys(users, each)

    def newest() -> dict[str, Any] | None:
        lists = stack.topics.newest_lists()
        there = [lists[user][0] for user in users if user in lists]
        return lists if len(there) == USERS and all(made["version"] >= each for made in there) else None

    lists = eventually(newest, 60)
    assert {user: lists[user][0]["version"] for user in users} == dict.fromkeys(users, each)
    assert {user: lists[user][1][DIGEST_HEADER].decode() for user in users} == oracle.digests(users)


def test_a_thousand_refused_records_are_repaired_and_put_back_once(stack: Stack, job: str, no_restart: None) -> None:
    since, receipts = refuse(stack, "back"), stack.topics.ends(RECEIPTS)
    ends, letters_end = stack.topics.ends(EVENTS), stack.topics.ends(DEAD_LETTERS)

    dry = replay(stack, since, *FIXES, "--dry-run")
    assert (dry["chosen"], dry["put_back"], dry["refused_again"]) == (RECORDS, RECORDS, {})
    unrepaired = stack.liveshelf("dead-letters", "replay", "--since", since, "--json", ok=False)
    assert json.loads(unrepaired.stdout)["put_back"] == 0
    assert stack.topics.ends(EVENTS) == ends, "nothing was sent"

    done = replay(stack, since, *FIXES)
    assert (done["chosen"], done["put_back"], done["done_before"]) == (RECORDS, RECORDS, 0)
    fixes = ("blanks", "key", "type", "rename", "time", "event-id", "last-key", "latin1")
    assert all(done["repaired"][fix] for fix in fixes)
    check(stack, "back", RECORDS // USERS)
    letters = [id for record in stack.topics.read(RECEIPTS, receipts) for id in json.loads(record.value)["letters"]]
    assert len(letters) == len(set(letters)) == RECORDS

    ends = stack.topics.ends(EVENTS)
    again = replay(stack, since, *FIXES)
    assert (again["put_back"], again["done_before"]) == (0, RECORDS)
    assert stack.topics.ends(EVENTS) == ends
    check(stack, "back", RECORDS // USERS)
    assert stack.topics.dead_letters(letters_end) == [], "the job refused none again"


def test_a_replay_that_was_killed_or_overtaken_counts_nothing_twice(stack: Stack, job: str, no_restart: None) -> None:
    since, started_ms = refuse(stack, "killed", 3 * USERS), int(time.time() * 1000) - 60_000
    repairs = Repairs(frozenset(("blanks", "key")), types={"product_view": "view"})
    judge, now_ms = Judge(stack.settings.events, repairs), int(time.time() * 1000)
    batch = [judge.judge(letter, now_ms) for letter in of_tag(stack, started_ms, "killed")]
    assert len(batch) == 3 * USERS
    dying = KafkaLedger(stack.settings.kafka)
    dying._producer.begin_transaction()
    dying._send(batch)  # on the broker, and never committed

    done = replay(stack, since, *FIXES)
    assert (done["put_back"], done["done_before"]) == (3 * USERS, 0)
    check(stack, "killed", 3)
    with pytest.raises(KafkaError):
        dying._producer.commit_transaction()
    dying.close()

    slow = KafkaLedger(stack.settings.kafka)
    assert replay(stack, since, *FIXES)["done_before"] == 3 * USERS
    with pytest.raises(BrokerError, match="only replay"):
        slow.put_back(batch)
    slow.close()
    check(stack, "killed", 3)


def of_tag(stack: Stack, since_ms: int, tag: str) -> list[Letter]:
    return [one for one in read_letters(stack.settings.kafka, since_ms) if f'"{tag}-'.encode() in (one.value or b"")]
