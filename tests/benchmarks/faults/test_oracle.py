"""The oracle with erasures: judged by the broker's time, in whatever order the two topics are read."""

import json
from dataclasses import replace

from benchmarks.faults.oracle import Oracle
from operators.records.contracts import ERASURES
from operators.settings import Settings
from operators.shopper.user_state import digest, last_event_ms, order_of
from tests.benchmarks.fakes import Record
from tests.benchmarks.history import event
from tests.builders import NOW_MS


def erasure(user: str, at_ms: int, **fields: object) -> Record:
    value = json.dumps({"user_id": user, "requested_at": NOW_MS + at_ms} | fields).encode()
    return Record(user.encode(), value, timestamp=NOW_MS + at_ms, topic=ERASURES)


def test_what_arrived_before_an_erasure_is_forgotten_and_what_came_after_is_not() -> None:
    records = [event(n, "u", 1000 * n) for n in range(6)]
    oracle = Oracle(Settings(), records, erasures=[erasure("u", 2500)])
    assert oracle.outcomes["read"] == 6 and oracle.events["u"] == 6
    assert oracle.forgotten_users(["u"]) == set() and oracle.expected_orders(["u"]) == {
        "u": order_of(oracle.states["u"])
    }
    oracle_without = Oracle(
        Settings(), records[3:], {"u": Oracle(Settings(), records[:3], erasures=[erasure("u", 2500)]).states["u"]}
    )
    assert digest(oracle.states["u"]) == digest(oracle_without.states["u"])


def test_who_does_nothing_after_an_erasure_is_forgotten() -> None:
    records = [event(n, user, 1000 * n) for n, user in enumerate(["u", "v", "u"])]
    oracle = Oracle(Settings(), records, erasures=[erasure("u", 2000), erasure("w", 2000)])
    assert oracle.forgotten_users(oracle.states) == {"u", "w"} and oracle.expected_orders(oracle.states).keys() == {"v"}
    assert last_event_ms(oracle.states["u"]) == 0


def test_two_erasures_of_one_user_are_both_done() -> None:
    records = [event(0, "u", 0), event(1, "u", 3000), event(2, "u", 9000)]
    oracle = Oracle(Settings(), records, erasures=[erasure("u", 1000), erasure("u", 5000)])
    assert last_event_ms(oracle.states["u"]) == NOW_MS + 9000
    assert oracle.forgotten_users(["u"]) == set()


def test_a_bad_erasure_must_be_a_dead_letter_and_a_tombstone_is_none() -> None:
    bad = replace(erasure("u", 0, user_id="v"), partition=2, offset=7)
    oracle = Oracle(Settings(), [], erasures=[bad, replace(bad, value=None, offset=8)])
    assert {position: refused.reason for position, refused in oracle.refused.items()} == {
        (ERASURES, 2, 7): "key_mismatch"
    }
    assert oracle.states == {} and oracle.erased_users == set()
