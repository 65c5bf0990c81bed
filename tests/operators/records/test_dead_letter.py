"""A dead letter on its topic and in a file."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from operators.errors import EventsFileError
from operators.records.contracts import EVENTS, DeadLetterHeaders
from operators.records.dead_letter import Letter, id_text
from tests.builders import NOW_MS


def record(key: bytes | None = b"u1", value: bytes | None = b"bad", offset: int = 17, **headers: Any) -> Any:
    """A letter as kafka-python gives it."""
    named = DeadLetterHeaders(
        topic=EVENTS, partition=3, offset=offset, stage="VALUE_CONVERTER", reason="not_json", message="expected JSON"
    ).pairs()
    return SimpleNamespace(timestamp=NOW_MS, key=key, value=value, headers=[*(named | headers).items()])


def letter(**fields: Any) -> Letter:
    found = Letter.of(record(**fields))
    assert found is not None
    return found


def test_it_is_named_for_the_record_that_was_refused_not_for_the_letter() -> None:
    assert letter().place == f"{EVENTS}-3-17"
    assert letter().id == letter().id, "a job that restarts writes it again"
    others = [letter(offset=18), letter(value=b"bat"), letter(value=None), letter(key=None), letter(key=b"")]
    assert len({letter().id, *(one.id for one in others)}) == 6, "offsets begin again where a topic is made anew"


@pytest.mark.parametrize("name", ["topic", "partition", "offset"])
@pytest.mark.parametrize("value", [None, b"", b"-1", b"\xff", b"9" * 40])
def test_what_somebody_else_wrote_is_no_letter(name: str, value: bytes | None) -> None:
    spoiled = {f"__connect.errors.{name}": value}
    assert (Letter.of(record(**spoiled)) is None) == (name != "topic" or not value)


@pytest.mark.parametrize("raw", [b'{"a": "\xc3\xa9\\n"}', b"\xff\xfe", b"", None])
def test_a_line_of_a_file_is_the_same_letter(raw: bytes | None) -> None:
    kept = letter(key=raw, value=raw)
    line = kept.line()
    assert b"\n" not in line
    assert Letter.of_line(line, 1) == kept


def test_a_line_can_be_repaired_as_text_as_json_and_in_place_of_base64() -> None:
    one = letter(value=b"\xff")
    line = json.loads(one.line())
    assert line["letter"] == id_text(one.id)
    for repaired in ('{"event_id": "é"}', {"event_id": "é"}):
        found = Letter.of_line(json.dumps(line | {"value": repaired, "key": "u2"}).encode(), 1)
        assert (found.id, found.key, json.loads(found.value or b"")) == (one.id, b"u2", {"event_id": "é"})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"view,u1", "line 7"),
        (b"{}", "letter"),
        (letter().line().replace(b'"letter":"', b'"letter":"x'), "16 hexadecimal"),
        (letter(value=b"\xff").line().replace(b"/w==", b"??"), "line 7"),
    ],
)
def test_a_line_that_is_none_is_said_with_its_number(line: bytes, said: str) -> None:
    with pytest.raises(EventsFileError, match=said):
        Letter.of_line(line, 7)
