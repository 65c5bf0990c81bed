import io
import json
import logging
from collections.abc import Iterator

import pytest

from operators.telemetry import logs


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root, out = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr("sys.stdout", out)
    logs.configure("part")
    yield out
    root.handlers[:], root.level = handlers, level


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_incident_is_one_line_with_its_trace(written: io.StringIO) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("room").exception("it failed")
    (line,) = lines(written)
    assert (line["part"], line["logger"], line["level"], line["message"]) == ("part", "room", "error", "it failed")
    assert "ValueError: broken" in str(line["exception"])


def test_a_line_that_repeats_is_counted_not_written() -> None:
    now = [0.0]
    limit = logs.RateLimit(lambda: now[0])

    def record(text: str, *values: object) -> logging.LogRecord:
        return logging.LogRecord("room", logging.WARNING, "f", 1, text, values, None)

    assert [limit.filter(record("no broker: %s", n)) for n in range(5)] == [True, False, False, False, False]
    assert limit.filter(record("another"))
    now[0] = logs.EVERY_S
    again = record("no broker: %s", 9)
    assert limit.filter(again)
    assert again.__dict__["repeated"] == 4


def test_who_it_was_is_not_written(written: io.StringIO) -> None:
    logging.getLogger("room").warning("odd", extra={"user_id": "anna", "topic": "t"})
    (line,) = lines(written)
    assert line["topic"] == "t"
    assert "anna" not in written.getvalue()


def test_no_text_forges_a_line_or_moves_a_cursor(written: io.StringIO) -> None:
    hostile = '\x1b[2J\x9b31m\n{"level": "info"}\u2028\u202e'
    logging.getLogger("room").warning("came: %s", hostile)
    try:
        raise ValueError(hostile)
    except ValueError:
        logging.getLogger("room").exception("it failed")
    text = written.getvalue()
    assert text.replace("\n", "").isprintable() and text.count("\n") == 2
    first, second = lines(written)
    assert first["message"] == f"came: {hostile}"
    assert hostile in str(second["exception"])
