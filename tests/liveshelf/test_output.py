"""Text from outside on its way through the command line: shown as it is, and never obeyed."""

import io
import json
import logging
from pathlib import Path

import pytest
from typer.testing import CliRunner

from liveshelf import main
from liveshelf.data import dead_letters
from liveshelf.terminal import output
from liveshelf.terminal.output import People, block, grid
from operators.errors import LiveshelfError
from pipelines.dead_letters import dead_letters as reader
from tests.bad_records import good_event

HOSTILE = "[/red] [bold]x[/] :smile: \x1b[31m\x9b2J\nok  all checks pass\r\u202e"
SHOWN = "[/red] [bold]x[/] :smile: \\u001b[31m\\u009b2J\\nok  all checks pass\\r\\u202e"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What `people` prints."""
    stream = io.StringIO()
    monkeypatch.setattr(output, "people", People(file=stream, width=200))
    monkeypatch.setattr(dead_letters, "people", output.people)
    return stream


def test_a_string_is_printed_as_it_is(terminal: io.StringIO) -> None:
    output.people.print(HOSTILE)
    output.table(HOSTILE, (HOSTILE, "b"), [(HOSTILE, 1)])
    lines = [line.rstrip() for line in terminal.getvalue().splitlines()]
    assert lines == [SHOWN, SHOWN, f"{SHOWN}  b", f"{SHOWN}  1"]


def test_a_spinner_shows_strings_as_they_are(terminal: io.StringIO) -> None:
    with output.people.status(HOSTILE) as spinner:
        assert str(spinner.renderable.text) == SHOWN
        spinner.update(HOSTILE + "2")
        assert str(spinner.renderable.text) == SHOWN + "2"


def test_of_a_text_of_several_lines_all_but_the_first_are_set_in() -> None:
    assert block("one\nok  all checks pass\x1b[A") == "one\n    ok  all checks pass\\u001b[A"
    lines = block("\n".join(map(str, range(1000)))).splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("0", "    999", output.BLOCK_LINES + 1)
    assert "800 more lines" in lines[100]


def test_a_cell_is_bounded(terminal: io.StringIO) -> None:
    output.people.print(grid("", ("", ""), [("x" * 100_000, 1)]))
    assert "(99600 more characters)" in terminal.getvalue()


def fail(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def app() -> None:
        raise error

    monkeypatch.setattr(main, "app", app)
    with pytest.raises(SystemExit) as exit_info:
        main.main()
    assert exit_info.value.code == 1


def test_an_error_keeps_its_brackets(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, LiveshelfError("the extra `train` (torch)", HOSTILE, "pip install 'liveshelf[train]'"))
    lines = terminal.getvalue().splitlines()
    assert lines[0].startswith("failed: expected the extra `train` (torch); came [/red] [bold]x[/] :smile: \\u001b[31m")
    assert lines[1:] == ["    ok  all checks pass\\r\\u202e. Next: pip install 'liveshelf[train]'."]


def test_an_error_that_nobody_expected_is_shown_with_its_traceback(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, RuntimeError(HOSTILE))
    lines = terminal.getvalue().splitlines()
    assert lines[0] == "internal error: a bug of Liveshelf: please report it with these lines"
    assert lines[1] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in lines[1:])
    assert "RuntimeError: [/red] [bold]x[/]" in terminal.getvalue()


def test_a_warning_of_a_library_is_a_line_too(terminal: io.StringIO) -> None:
    record = logging.LogRecord("kafka", logging.WARNING, "f", 1, "no broker %s", (HOSTILE,), None)
    output.LogToPeople().handle(record)
    assert terminal.getvalue().startswith("no broker [/red]") and "\x1b" not in terminal.getvalue()


def test_a_line_of_a_log_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    output.line(HOSTILE)
    assert capsys.readouterr().out == SHOWN + "\n"


def test_the_json_for_machines_is_one_line_of_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    output.machine({"text": HOSTILE})
    text = capsys.readouterr().out
    assert text.isascii() and text.count("\n") == 1 and json.loads(text) == {"text": HOSTILE}


def test_validate_shows_a_type_in_brackets(tmp_path: Path) -> None:
    file = tmp_path / "export[old].jsonl"
    bad = [good_event(event_id="e1", event_type="[/red]"), good_event(event_id="e2", event_type="\x1b]0;x\x07")]
    file.write_text("".join(json.dumps(event) + "\n" for event in bad))
    result = CliRunner().invoke(main.app, ["validate", str(file)])
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit), "it ends on purpose"
    missing_file = CliRunner().invoke(main.app, ["validate", str(tmp_path / "none[x].jsonl")])
    assert "none[x].jsonl" in str(missing_file.exception)


def letter(offset: int, headers: list[tuple[str, bytes | None]], partition: int = 0) -> object:
    return type("Record", (), {"timestamp": offset, "partition": partition, "offset": offset, "headers": headers})()


def connect(**values: bytes | None) -> list[tuple[str, bytes | None]]:
    named = {"reason": "exception.class.name", "message": "exception.message"}
    return [(f"__connect.errors.{named.get(name, name)}", value) for name, value in values.items()]


def test_dead_letters_of_anybody_are_counted_and_listed(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        letter(1, connect(topic=b"shop.events.v1", offset=b"7", reason=b"not_json", message=HOSTILE.encode())),
        letter(2, connect(reason=b"not_json", message=b"\xff\xfe[/]")),
        letter(3, []),
        letter(4, [("x" * 9000, b"y" * 1_000_000), *connect(reason=b"made up by somebody", message=None)]),
    ]
    summary = reader.summary(records, 20)
    assert (summary.count, summary.reasons) == (4, {"not_json": 2, "other": 2})
    monkeypatch.setattr(
        reader, "read_dead_letters", lambda settings, last, choice: reader.summary(records, last, choice)
    )
    assert CliRunner().invoke(main.app, ["dead-letters", "list", "--last", "3"]).exit_code == 0
    text = terminal.getvalue()
    assert "4 dead letters" in text and "\x1b" not in text
    assert CliRunner().invoke(main.app, ["dead-letters", "list"]).exit_code == 0
    assert SHOWN in terminal.getvalue() and "��[/]" in terminal.getvalue()


def test_of_many_dead_letters_the_newest_are_kept_whatever_their_order() -> None:
    records = (
        letter(at_ms, connect(message=str(at_ms).encode())) for at_ms in (*range(0, 5000, 2), *range(1, 5000, 2))
    )
    summary = reader.summary(records, 3)
    assert summary.count == 5000
    assert [headers["exception.message"] for headers in summary.newest] == ["4997", "4998", "4999"]
