"""`liveshelf import` as a command: its answer, its files, its words for what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from liveshelf.main import app
from operators.configuration.shop_settings import EventSettings
from operators.errors import LiveshelfError
from operators.records.record_file import event_file

TABLE = "ts;visitor;sku;action;price\n2026-03-01 10:00:00;7.0;i1;page;12,50 €\n2026-03-01 10:00:01;8.0;i2;cart;1.234\n;9.0;i3;page;1\n"
MAP = ("--map", "user_id=visitor,item_id=sku,event_time=ts,event_type=action", "--types", "view=page,add_to_cart=cart")


def run(*words: object) -> tuple[int, str, str]:
    ran = CliRunner().invoke(app, ["import", *map(str, words)])
    if isinstance(ran.exception, LiveshelfError):
        raise ran.exception
    return ran.exit_code, ran.stdout, ran.stderr


def source(folder: Path, text: str = TABLE) -> Path:
    file = folder / "shop.csv"
    file.write_text(text)
    return file


def imported(folder: Path, *words: object) -> dict[str, Any]:
    out = folder / "events.jsonl"
    code, text, _ = run(
        source(folder), "--from", "csv", "--out", out, "--rejects", folder / "rest.jsonl", "--json", *words
    )
    assert code == 0
    answer: dict[str, Any] = json.loads(text)
    return answer


def test_a_table_with_a_map_becomes_events_and_rejects(tmp_path: Path) -> None:
    answer = imported(tmp_path, *MAP)
    assert (answer["read"], answer["written"], answer["rejected"]) == (3, 2, 1)
    assert answer["decimal_mark"] == "," and answer["ids_read_as_digits"] == ["user_id"]
    assert (answer["from"], answer["to"]) == ("2026-03-01T10:00:00+00:00", "2026-03-01T10:00:01+00:00")
    events = [*event_file(tmp_path / "events.jsonl", EventSettings())]
    assert [(event.user_id, event.event_type, event.price) for event in events] == [
        ("7", "view", 12.5),
        ("8", "add_to_cart", 1234.0),
    ]
    (rest,) = map(json.loads, (tmp_path / "rest.jsonl").read_text().splitlines())
    assert (rest["line"], rest["reason"], rest["record"]["sku"]) == (4, "missing_field", "i3")
    assert json.loads((tmp_path / "events.jsonl.import.json").read_text())["written"] == 2


def test_an_earlier_import_is_replaced_and_no_other_file(tmp_path: Path) -> None:
    imported(tmp_path, *MAP)
    imported(tmp_path, *MAP)
    (tmp_path / "events.jsonl.import.json").unlink()
    with pytest.raises(LiveshelfError, match="would be gone"):
        imported(tmp_path, *MAP)


def test_names_without_a_type_are_counted_and_nothing_is_written_of_none(tmp_path: Path) -> None:
    words = ("--map", "user_id=visitor,item_id=sku,event_time=ts,event_type=action")
    answer = imported(tmp_path, *words, "--decimal", ",")
    assert answer["unmapped"] == {"page": 2} and answer["types"] == {"add_to_cart": 1}
    (tmp_path / "other").mkdir()
    file = source(tmp_path / "other", TABLE.replace("cart", "basket"))
    with pytest.raises(LiveshelfError, match="--types view=NAME"):
        run(file, "--from", "csv", "--out", tmp_path / "none.jsonl", *words)
    assert not (tmp_path / "none.jsonl").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "segmnt"), "is segment meant"),
        (("--from", "csv", "--map", "user=visitor"), "is user_id meant"),
        (("--from", "csv", "--map", "user_id"), "expected OURS=THEIRS"),
        (("--from", "csv", "--types", "views=page"), "is view meant"),
        (("--from", "ga4", "--map", "user_id=x"), "--map is for --from csv"),
        (("--from", "ga4", "--event-type", "view"), "--event-type is for"),
        (("--from", "csv", "--time-unit", "min"), "s, ms, us, ns"),
        (("--from", "csv", "--decimal", "x"), "came 'x'"),
        (("--from", "csv", "--delimiter", "ab"), "one character"),
    ],
)
def test_wrong_words_are_a_usage_error(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    code, _, text = run(source(tmp_path), "--out", tmp_path / "events.jsonl", *words)
    assert code == 2 and said in " ".join(text.replace("│", " ").split())


def test_columns_may_have_commas_in_their_names(tmp_path: Path) -> None:
    file = source(tmp_path, 'ts,who,"price, EUR"\n2026-03-01,u1,1\n')
    code, text, _ = run(
        file, "--from", "csv", "--out", tmp_path / "e.jsonl", "--json", "--event-type", "search",
        "--map", "event_time=ts,user_id=who,price=price, EUR",
    )  # fmt: skip
    assert code == 0 and json.loads(text)["unused"] == {}
