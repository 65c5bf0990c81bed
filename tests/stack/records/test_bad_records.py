"""Bad input through the real job: one dead letter each, no restart, and the counts add up."""

import json
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from kafka.errors import KafkaError

from benchmarks.faults.oracle import Oracle
from operators.kafka_io.kafka_clients import new_producer
from operators.records.contracts import DEAD_LETTERS, ERASURES, EVENTS, HEADER_PREFIX, RECEIPTS, RECOMMENDATIONS
from tests.bad_records import bad_events, good_event
from tests.running_stack import Stack
from tests.stack.topics import eventually


def header(record, name: str) -> str:
    return dict(record.headers)[HEADER_PREFIX + name].decode()


def test_every_bad_record_is_one_dead_letter_and_valid_ones_around_it_are_lists(
    stack: Stack, job: str, no_restart: None
) -> None:
    letters_start, lists_start = stack.topics.ends(DEAD_LETTERS), stack.topics.ends(RECOMMENDATIONS)
    now = int(time.time() * 1000)
    bad = bad_events(now)
    for number, (_, key, value, _) in enumerate(bad):
        stack.topics.send(EVENTS, key, value)
        user = f"around-{number}"
        stack.topics.send(EVENTS, user, good_event(now, event_id=f"around{number}", user_id=user, item_id="85123A"))
    not_utf8 = good_event(now, event_id="raw-key", user_id="raw")
    stack.topics.send(EVENTS, b"\xff\xfe", not_utf8)
    stack.topics.producer.flush()

    letters = eventually(
        lambda: (found := stack.topics.dead_letters(letters_start)) and len(found) > len(bad) and found
    )
    got = sorted(
        (record.key, record.value, header(record, "exception.class.name")) for record in letters if record.value
    )
    expected = sorted((key.encode(), value, reason) for _, key, value, reason in bad if value)
    assert got == sorted([*expected, (b"\xff\xfe", json.dumps(not_utf8).encode(), "key_mismatch")])
    assert [header(r, "exception.class.name") for r in letters if not r.value] == ["null_value", "empty_value"]
    assert {header(record, "topic") for record in letters} == {EVENTS}
    places = {(int(header(r, "partition")), int(header(r, "offset"))) for r in letters}
    assert len(places) == len(bad) + 1

    around = {f"around-{number}" for number in range(len(bad))}
    eventually(lambda: around <= stack.topics.newest_lists(lists_start).keys())


def test_ids_that_hurt_the_bridge_stop_nobody_over_http_and_straight_to_the_topic(
    stack: Stack, job: str, no_restart: None
) -> None:
    letters_start, lists_start, now = (
        stack.topics.ends(DEAD_LETTERS),
        stack.topics.ends(RECOMMENDATIONS),
        int(time.time() * 1000),
    )
    poison = ("\ufffe\u00d8", "\ufeffshopper", "\ufffe", "\ufeff\ufffe", "a\u0000b", "\u009b2J")
    for user in poison:
        event = good_event(now, event_id="poison", user_id=user, item_id="85123A")
        answer = httpx.post(f"{stack.shop}/v1/events", json=event)
        assert (answer.status_code, answer.json()["reason"]) == (422, "bad_id"), user
        stack.topics.send(EVENTS, user, event)
        stack.topics.send(EVENTS, None, event)
    stack.topics.publish([good_event(now, event_id="well", user_id="beside-poison", item_id="85123A")])
    letters = eventually(
        lambda: len(found := stack.topics.dead_letters(letters_start)) == 2 * len(poison) and found, 60
    )
    assert {header(record, "exception.class.name") for record in letters} == {"bad_id"}
    eventually(lambda: "beside-poison" in stack.topics.newest_lists(lists_start))


def send_packed(stack: Stack, codec: str, size: int) -> bytes:
    """Sends an event whose query has `size` letters in a compressed batch; returns the event."""
    body = json.dumps(good_event(user_id="bomb", query="x" * size)).encode()
    options = {"compression_type": codec, "max_request_size": 2 * size + 1_000_000, "retries": 0}
    with closing(new_producer(stack.settings.kafka, **options)) as producer:
        producer.send(EVENTS, key=b"bomb", value=body).get(60)
    return body


def test_what_unpacks_to_more_than_a_record_may_have_never_reaches_the_job(
    stack: Stack, job: str, no_restart: None
) -> None:
    """200 MB of one letter are 200 KB on the way. The broker needs no more than its heap to refuse them."""
    lists_start, letters_start = stack.topics.ends(RECOMMENDATIONS), stack.topics.ends(DEAD_LETTERS)
    for codec, size in (("gzip", 5_000_000), ("zstd", 200_000_000), ("gzip", 200_000_000)):
        with pytest.raises(KafkaError):
            send_packed(stack, codec, size)
    small = [send_packed(stack, codec, 1000) for codec in ("gzip", "zstd", "lz4", "snappy")]  # too old, each a letter
    now = int(time.time() * 1000)
    stack.topics.publish([good_event(now, event_id="after", user_id="after-bombs", item_id="85123A")])
    eventually(lambda: "after-bombs" in stack.topics.newest_lists(lists_start))
    letters = eventually(lambda: len(found := stack.topics.dead_letters(letters_start)) >= len(small) and found)
    assert [letter.value for letter in letters] == small


def test_a_record_that_no_letter_can_hold_is_cut_and_stops_nobody(stack: Stack, job: str, no_restart: None) -> None:
    """Where the broker does not unpack, five megabytes fit into a topic that takes one."""
    letters_start = stack.topics.ends(DEAD_LETTERS)
    stack.topics.configure(EVENTS, "compression.type", "producer")
    try:
        body = send_packed(stack, "gzip", 5_000_000)
    finally:
        stack.topics.configure(EVENTS, "compression.type", "uncompressed")
    (letter,) = eventually(lambda: stack.topics.dead_letters(letters_start), 60)
    assert (letter.key, header(letter, "exception.class.name")) == (b"bomb", "too_large")
    assert body.startswith(letter.value) and f"{len(body)} bytes" in header(letter, "exception.message")


def test_a_record_without_key_is_routed_by_its_body(stack: Stack, job: str) -> None:
    lists_start, letters_start = stack.topics.ends(RECOMMENDATIONS), stack.topics.ends(DEAD_LETTERS)
    now = int(time.time() * 1000)
    for number in range(3):
        stack.topics.send(EVENTS, None, good_event(now, event_id=f"nokey{number}", user_id="nokey", item_id="85123A"))
    stack.topics.send(EVENTS, "", good_event(now, event_id="nokey3", user_id="nokey", item_id="85123A"))
    stack.topics.send(EVENTS, None, b"no key and not JSON")
    stack.topics.send(EVENTS, None, b"[" * 50_000)
    stack.topics.send(EVENTS, None, b"[" * 16_000)
    bom = good_event(now, event_id="nokey-bom", user_id="\ufffe\u00d8", item_id="85123A")
    stack.topics.send(EVENTS, None, bom)
    lone = json.dumps(good_event(now, event_id="nokey-lone", user_id="LONE")).replace("LONE", "\\udcff\\ud800x")
    stack.topics.send(EVENTS, None, lone.encode())
    stack.topics.producer.flush()
    eventually(lambda: (made := stack.topics.newest_lists(lists_start).get("nokey")) and made[0]["version"] == 4)
    letters = eventually(lambda: len(found := stack.topics.dead_letters(letters_start)) == 5 and found)
    assert {record.key for record in letters} == {None}
    assert sorted(header(r, "exception.class.name") for r in letters) == [
        "bad_id",
        "not_json",
        "not_utf8",
        "too_deep",
        "too_large",
    ]


def test_an_unknown_item_is_no_error(stack: Stack, job: str) -> None:
    start = stack.topics.ends(RECOMMENDATIONS)
    stack.topics.publish(
        [good_event(int(time.time() * 1000), event_id="unknown1", user_id="unknown", item_id="brand-new")]
    )
    made, _ = eventually(lambda: stack.topics.newest_lists(start).get("unknown"))
    assert (made["source"], made["version"], len(made["items"])) == ("popular", 1, 20)


def test_counts_add_up(stack: Stack, job: str) -> None:
    """read = applied + duplicate + dead: of the topic as the oracle counts it, and of the operator's own metrics."""
    events = [good_event(int(time.time() * 1000), event_id=f"sum{n % 20}", user_id="sum") for n in range(50)]
    before = operator_counts(stack)
    topic_before = sum(stack.topics.ends(EVENTS).values())
    stack.topics.publish(events)
    stack.topics.send(EVENTS, "sum", b"bad")
    stack.topics.producer.flush()
    grown = sum(stack.topics.ends(EVENTS).values()) - topic_before

    def difference() -> dict[str, float] | None:
        now = {name: value - before[name] for name, value in operator_counts(stack).items()}
        return now if sum(now.values()) >= grown else None

    found = eventually(difference)
    assert found == {"applied": 20, "duplicate": 30, "erased": 0, "erasure": 0, "dead": 1}
    oracle = Oracle(stack.settings, stack.topics.read(EVENTS))
    assert oracle.outcomes["read"] == sum(oracle.outcomes[n] for n in ("applied", "duplicate", "dead"))


def test_an_erasure_clears_list_and_state_and_late_events_stay_out(stack: Stack, job: str) -> None:
    start, now = stack.topics.ends(RECOMMENDATIONS), int(time.time() * 1000)
    stack.topics.publish([good_event(now, event_id="er1", user_id="erased", item_id="85123A")])
    eventually(lambda: (stack.topics.newest_lists(start).get("erased") or (None,))[0])
    # what a client says of its own time has no part in it: a click that is stamped ahead goes, and so does a request
    # of the year 1970
    stack.topics.publish([good_event(now + 240_000, event_id="er2", user_id="erased", item_id="22423")])
    before, _ = eventually(lambda: (m := stack.topics.newest_lists(start)["erased"])[0]["version"] == 2 and m)
    stack.topics.send(ERASURES, "erased", {"user_id": "erased", "requested_at": 0, "erasure_id": "er"})
    stack.topics.producer.flush()
    eventually(lambda: "erased" in (lists := stack.topics.newest_lists(start)) and lists["erased"][0] is None)
    receipt = eventually(lambda: next((r for r in stack.topics.read(RECEIPTS) if r.key == b"er"), None))
    assert json.loads(receipt.value)["found"] is True
    stack.topics.publish([good_event(now, event_id="er3", user_id="erased")])
    soon = int(time.time() * 1000)
    stack.topics.publish([good_event(soon, event_id="er4", user_id="erased", item_id="21212")])
    made, _ = eventually(lambda: (m := stack.topics.newest_lists(start)["erased"])[0] and m)
    assert (made["version"], made["event_id"]) == (3, "er4")
    assert made["epoch"] > before["epoch"]
    assert [step["item_id"] for step in (item["reason"] for item in made["items"]) if step.get("item_id")] in (
        ["21212"] * count for count in range(21)
    ), "nothing from before is known"


def operator_counts(stack: Stack) -> dict[str, float]:
    text = httpx.get(f"http://127.0.0.1:{stack.settings.job.metrics_port}/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("liveshelf_events_total{")]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}


def test_a_refused_bundle_is_not_submitted_and_says_why(stack: Stack, job: str, tmp_path: Path) -> None:
    said = stack.liveshelf("submit", "--bundle", str(tmp_path), ok=False).stderr
    assert "manifest.json" in said
    assert "Traceback" not in said
