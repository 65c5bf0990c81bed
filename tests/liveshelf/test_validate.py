"""`liveshelf validate` on files as shops have them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from liveshelf.main import app
from tests.bad_records import good_event
from tests.builders import NOW_MS


def file(folder: Path, events: list[dict[str, Any]], name: str = "events.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def shop(count: int = 60, **fields: Any) -> list[dict[str, Any]]:
    return [
        good_event(NOW_MS + n * 60_000)
        | {"event_id": f"e{n}", "user_id": f"u{n % 12}", "item_id": f"{1000 + n % 24}"}
        | {name: value(n) if callable(value) else value for name, value in fields.items()}
        for n in range(count)
    ]


def validate(*arguments: object) -> tuple[int, dict[str, Any]]:
    ran = CliRunner().invoke(app, ["validate", *map(str, arguments), "--json"])
    return ran.exit_code, json.loads(ran.stdout)


def test_good_events_are_valid_and_nothing_is_said_of_them(tmp_path: Path) -> None:
    code, report = validate(file(tmp_path, shop()))
    assert (code, report["lines"], report["valid"], report["items"], report["users"]) == (0, 60, 60, 24, 12)
    assert report["repaired"] == report["reasons"] == report["without effect"] == {} and report["remarks"] == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"event_id": lambda n: f"order{n // 4}"}, "45 events have the event_id of an earlier one"),
        ({"event_time": lambda n: f"2018-09-{n % 28 + 1:02d}"}, "all times are midnight"),
        ({"user_id": "u3"}, "all events are of one shopper"),
        (
            {"user_id": lambda n: "bot" if n % 2 else f"u{n}"},
            "50% of the events are of the user 'bot': a robot, or an id of nobody? A training learns",
        ),
        ({"colour": "red"}, "does not know, and leaves out: colour (60)"),
    ],
)
def test_what_is_valid_and_looks_wrong(tmp_path: Path, fields: dict[str, Any], expected: str) -> None:
    code, report = validate(file(tmp_path, shop(**fields)))
    assert code == 0
    assert [remark for remark in report["remarks"] if expected in remark], report["remarks"]


def test_a_robot_is_who_a_training_leaves_out(tmp_path: Path) -> None:
    bot = shop(4000, user_id="bot", event_id=lambda n: f"b{n}")
    for people in (1000, 4000):
        _, report = validate(file(tmp_path, bot + shop(people, user_id=lambda n: f"u{n % 100}")))
        assert [remark for remark in report["remarks"] if "of the user 'bot'" in remark and "leaves them out" in remark]


def test_a_byte_order_mark_in_the_middle_is_of_files_that_were_joined(tmp_path: Path) -> None:
    joined = file(tmp_path, shop())
    joined.write_bytes(joined.read_bytes() + b"\xef\xbb\xbf" + joined.read_bytes())
    code, report = validate(joined)
    assert (code, report["valid"], report["remarks"]) == (0, 120, [])


def test_fields_that_no_catalogue_record_has_are_named(tmp_path: Path) -> None:
    _, report = validate("--catalogue", file(tmp_path, [{"item_id": "i1", "stok": 3, "stock": 2}], "catalogue.jsonl"))
    assert [remark for remark in report["remarks"] if "leaves out: stok (1)" in remark], report["remarks"]


def test_a_copy_of_an_event_is_no_other_event(tmp_path: Path) -> None:
    _, report = validate(file(tmp_path, shop() + shop()))
    assert report["repeated event ids"] == 60 and report["remarks"] == []


def test_fields_without_effect_are_named(tmp_path: Path) -> None:
    _, report = validate(file(tmp_path, shop(quantity=2, position=1, anonymous_id=None, traceparent="x")))
    assert report["without effect"].keys() == {"quantity", "position", "traceparent"}


def test_what_is_read_otherwise_than_written_is_counted(tmp_path: Path) -> None:
    _, report = validate(file(tmp_path, shop(item_id=lambda n: f"{1000 + n % 24}" + " " * (n % 2), price="12,50 €")))
    assert report["items"] == 24
    assert report["repaired"] == {"price": 60, "currency": 60, "item_id": 30}


def test_an_event_of_2050_and_a_placeholder_are_bad_lines(tmp_path: Path) -> None:
    code, report = validate(
        file(tmp_path, [*shop(), good_event(event_time="2050-01-01"), good_event(user_id="undefined")])
    )
    assert (code, report["reasons"]) == (1, {"event_time_in_future": 1, "bad_id": 1})
    assert [line for line, _, _ in report["bad_lines"]] == [61, 62]


def test_a_catalogue_is_judged_alone_and_beside_the_events(tmp_path: Path) -> None:
    items = [{"item_id": f"{1000 + n}.0", "title": None, "price": "12,50 €"} for n in range(24)]
    catalogue = file(tmp_path, [*items, {"item_id": "x", "price": "1,234"}], "catalogue.jsonl")
    code, report = validate(file(tmp_path, shop()), "--catalogue", catalogue)
    catalogue_report = report["catalogue"]
    assert (code, catalogue_report["items"], catalogue_report["without title"], catalogue_report["reasons"]) == (
        1,
        24,
        24,
        {"bad_amount": 1},
    )
    assert (
        "'1000', '1001', '1002' in the events, '1000.0', '1001.0', '1002.0' in the catalogue"
        in catalogue_report["remarks"][0]
    )
    assert validate("--catalogue", catalogue)[1]["items"] == 24


def test_people_see_the_same(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["validate", str(file(tmp_path, shop(position=1, price="2.50")))])
    assert ran.exit_code == 0
    for expected in ("repaired", "little or no effect", "all lines are valid"):
        assert expected in ran.stderr


def test_people_see_a_catalogue_as_well(tmp_path: Path) -> None:
    catalogue = file(tmp_path, [{"item_id": "1000", "title": "Mug"}], "catalogue.jsonl")
    for arguments in (["--catalogue", catalogue], [file(tmp_path, shop()), "--catalogue", catalogue]):
        ran = CliRunner().invoke(app, ["validate", *map(str, arguments)])
        assert (ran.exit_code, ran.stderr.count("all lines are valid")) == (0, len(arguments) - 1), ran.output


def test_fix_writes_the_good_part_and_the_rest_with_reasons(tmp_path: Path) -> None:
    events = file(tmp_path, shop(10, item_id=lambda n: 1000 + n, price=lambda n: "12,50 €" if n else "zwölf"))
    good, rest = tmp_path / "good.jsonl", tmp_path / "rest.jsonl"
    code, report = validate(events, "--fix", good, "--rejects", rest)
    assert (code, report["valid"], report["repaired"]["price"]) == (1, 9, 9)
    (line,) = map(json.loads, rest.read_text().splitlines())
    assert (line["line"], line["reason"]) == (1, "bad_amount") and json.loads(line["record"])["event_id"] == "e0"
    assert validate(good)[1] | {"repaired": {}} == validate(good)[1] and validate(good)[0] == 0


def test_fix_replaces_no_file_and_loses_no_line(tmp_path: Path) -> None:
    events = file(tmp_path, shop(10))
    for words in (("--fix", tmp_path / "good.jsonl"), ("--rejects", tmp_path / "rest.jsonl")):
        assert CliRunner().invoke(app, ["validate", str(events), *map(str, words)]).exit_code == 2
    ran = CliRunner().invoke(app, ["validate", str(events), "--fix", str(events), "--rejects", str(tmp_path / "rest")])
    assert ran.exit_code == 1 and "would be gone" in str(ran.exception) and events.stat().st_size
