import json
import time

import pytest

from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.records.contracts import DEAD_LETTER_REASONS
from operators.records.event_decode import EventDecoder, decode_erasure
from operators.records.json_objects import read_object
from tests.bad_records import BAD_EVENTS, good_event
from tests.builders import NOW_MS


def decoder() -> EventDecoder:
    return EventDecoder(EventSettings())


@pytest.mark.parametrize(("name", "key", "value", "reason"), BAD_EVENTS, ids=[bad[0] for bad in BAD_EVENTS])
def test_a_bad_record_has_its_reason(name: str, key: str, value: bytes | None, reason: str) -> None:
    with pytest.raises(BadRecord) as refused:
        decoder().decode(key, value, NOW_MS)
    assert refused.value.reason == reason
    assert reason in DEAD_LETTER_REASONS
    assert len(str(refused.value)) < 1000


def test_a_good_event_is_read() -> None:
    found = decoder().decode("u1", json.dumps(good_event()).encode(), NOW_MS)
    assert (found.user_id, found.item_id, found.event_time) == ("u1", "i1", NOW_MS)


def test_an_iso_time_becomes_epoch_ms() -> None:
    value = json.dumps(good_event(event_time="2025-10-09T08:53:20Z")).encode()
    assert decoder().decode("u1", value, NOW_MS).event_time == NOW_MS


def test_no_event_is_later_than_its_record_and_one_that_is_far_ahead_is_counted() -> None:
    reader = decoder()
    near = json.dumps(good_event(event_time=NOW_MS + 60_000)).encode()
    far = json.dumps(good_event(event_time=NOW_MS + 3_600_000)).encode()
    assert reader.decode("u1", near, NOW_MS).event_time == NOW_MS
    assert reader.clamped == 0
    assert reader.clamped == 0
    assert reader.decode("u1", far, NOW_MS).event_time == NOW_MS
    assert reader.clamped == 1


def test_unknown_fields_and_a_name_inside_context_are_no_reason_to_refuse() -> None:
    value = json.dumps(good_event(colour="red", context={"item_id": "other"})).encode()
    assert decoder().decode("u1", value, NOW_MS).item_id == "i1"


@pytest.mark.parametrize(("sent", "read"), [("home page", "home page"), (7, "7"), (None, None)])
def test_a_placement_is_text(sent: object, read: str | None) -> None:
    assert decoder().decode("u1", json.dumps(good_event(placement=sent)).encode(), NOW_MS).placement == read


def test_an_event_without_key_is_read_by_its_body() -> None:
    assert decoder().decode("", json.dumps(good_event()).encode(), NOW_MS).user_id == "u1"


def test_an_erasure_must_name_its_key() -> None:
    assert decode_erasure("u1", b'{"user_id":"u1","requested_at":5}').requested_at == 5
    assert decode_erasure("", b'{"user_id":"u1"}').user_id == "u1"
    with pytest.raises(BadRecord, match="u2"):
        decode_erasure("u1", b'{"user_id":"u2","requested_at":5}')


def test_a_repeated_key_among_many_is_found_at_once() -> None:
    """Of 10,000 keys the one that comes twice was looked for in ten seconds; of a request to the storefront in minutes."""
    value = ("{" + ",".join(f'"{n}":0' for n in range(10_000)) + ',"x":1,"x":2}').encode()
    begun = time.process_time()
    with pytest.raises(BadRecord, match="x twice"):
        read_object(value)
    assert time.process_time() - begun < 1
