"""What a file means as a whole, and what is refused as a whole."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from operators.adapters.import_file import FileImport, ImportChoices
from operators.adapters.registry import TableMap
from operators.configuration.shop_settings import EventSettings
from operators.errors import EventsFileError

HEADER = "event_time,user_id,item_id,event_type"
ROW = "2026-03-01T10:00:00Z,u1,i1,view"


def written(folder: Path, content: str | bytes, name: str = "shop.csv") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def opened(file: Path, source: str = "csv", **choices: Any) -> FileImport:
    return FileImport(file, source, ImportChoices(**choices), EventSettings())


def events(file: Path, source: str = "csv", **choices: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in opened(file, source, **choices).events()]


def column(folder: Path, name: str, values: list[str], **choices: Any) -> tuple[list[Any], dict[str, int]]:
    """The values of a field after the import of a table with it, and the reasons of the rejects."""
    rest = {"event_time": "2026-03-01T10:00:00Z", "user_id": "u1", "item_id": "i1", "event_type": "view"}
    names = [*dict.fromkeys((*rest, name))]
    rows = [";".join((rest | {name: value})[field] for field in names) for value in values]
    source = opened(written(folder, "\n".join((";".join(names), *rows))), **choices)
    return [json.loads(line).get(name) for line in source.events()], dict(source.counts.reasons)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f"{HEADER}\n{ROW}\n{HEADER}\n{ROW}\n", 3),
        (f"{HEADER}\n{HEADER}\n{ROW}\n", 2),
        (f"{HEADER}\n{ROW}\n\ufeff{HEADER}\n{ROW}\n", 3),
        (f"{HEADER}\n{ROW}\nuser_id,event_time,event_type,item_id\nu1,2026-03-01,view,i1\n", 3),
    ],
)
def test_a_table_with_two_headers_is_refused_with_the_line(tmp_path: Path, content: str, line: int) -> None:
    with pytest.raises(EventsFileError) as refused:
        opened(written(tmp_path, content))
    assert "one header" in refused.value.expected and f"line {line}:" in refused.value.came
    assert f"sed '{line}d'" in refused.value.fix


@pytest.mark.parametrize(
    ("content", "source", "came", "fix"),
    [
        ("event_time,user_id,user_id,event_type\n1,2,3,4\n", "csv", "'user_id' twice", "rename"),
        ("ts,user_id,item_id,event_type\n1,2,3,4\n", "csv", "the columns ts, user_id", "--map event_time=COLUMN"),
        ("event_time,visitor,userid,event_type\n1,2,3,4\n", "csv", "visitor", "--map user_id=userid"),
        ("event_time,user_id,item_id\n1,2,3\n", "csv", "item_id", "--event-type view"),
        ("nothing\nhere\n", "csv", "the line", "--delimiter"),
        ("a,b\r1,2\r", "csv", "CR alone", "tr"),
        (f"{HEADER}\n{ROW}\n", "segment", "event_time, user_id", "--from csv"),
        ('{"event_name": "x", "event_timestamp": 1, "user_pseudo_id": "d"}\n', "segment", "event_name", "--from ga4"),
        ("timestamp,visitorid,event,itemid\n1,2,view,3\n", "rees46", "visitorid", "--from retailrocket"),
        ("USER_ID,ITEM_ID,TIMESTAMP\n1,2,3\n", "rees46", "user_id", "--from personalize"),
        ('{"event_id":"1","event_type":"view","event_time":1,"user_id":"u"}\n', "ga4", "event_id", "as it is"),
        ("[1, 2", "segment", "no record", "--from csv"),
        ('[{"a": 1}, {"a": ', "segment", "element 1", "JSON lines"),
        ("", "csv", "an empty file", "export"),
        ("a,b\n1,2\n".encode("utf-16"), "csv", "UTF-16", "iconv"),
        (b"PK\x03\x04", "csv", "zip", "unzip"),
        (b"PAR1 is not parquet", "csv", "", "copy or export"),
        (gzip.compress(f"{HEADER}\n{ROW}\n".encode(), mtime=0)[:-9], "csv", "ended", "mend"),
        ("<html/>", "ga4", "XML", "export"),
    ],
)
def test_a_file_of_another_form_is_refused(
    tmp_path: Path, content: str | bytes, source: str, came: str, fix: str
) -> None:
    with pytest.raises(EventsFileError) as refused:
        opened(written(tmp_path, content), source)
    assert came in refused.value.came and fix in refused.value.fix, str(refused.value)


def test_columns_are_named_for_a_table_without_a_header(tmp_path: Path) -> None:
    names = ("user_id", "item_id", "event_type", "event_time")
    file = written(tmp_path, "1,2,pv,1511658000\n1,3,buy,1511658001\n")
    assert [event["event_type"] for event in events(file, columns=names, types={"pv": "view"})] == ["view", "purchase"]
    with pytest.raises(EventsFileError, match="leave out --columns"):
        opened(written(tmp_path, f"{HEADER}\n{ROW}\n"), columns=tuple(HEADER.split(",")))
    with pytest.raises(EventsFileError, match="4 in line 1"):
        opened(file, columns=("a", "b"))


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (["1511658000"], "s"),
        (["1511658000.25"], "s"),
        (["1511658000123"], "ms"),
        (["1511658000123456"], "us"),
        (["1511658000123456789"], "ns"),
    ],
)
def test_the_unit_of_times_is_decided_by_their_size(tmp_path: Path, values: list[str], unit: str) -> None:
    times, reasons = column(tmp_path, "event_time", values)
    assert (times[0] // 1000, reasons) == (1511658000, {})
    assert opened(tmp_path / "shop.csv").decisions.unit == unit


def test_a_time_in_another_unit_than_the_file_is_refused(tmp_path: Path) -> None:
    times, reasons = column(tmp_path, "event_time", ["1511658000123"] * 19 + ["1511658000"])
    assert (len(times), reasons) == (19, {"bad_event_time": 1})
    mixed = ["1511658000123", "1511658000", "20171126"]
    with pytest.raises(EventsFileError, match="--time-unit"):
        column(tmp_path, "event_time", mixed)
    assert column(tmp_path, "event_time", mixed, unit="s") == ([1511658000000, 1511654400000], {"bad_event_time": 1})


@pytest.mark.parametrize(
    ("values", "expected", "reasons"),
    [
        (["1,234", "12,50"], [1.234, 12.5], {}),
        (["1,234", "12.50"], [1234.0, 12.5], {}),
        (["1.234", "1.234.567"], [1234.0, 1234567.0], {}),
        (["1.234 €", "0,5"], [1234.0, 0.5], {}),
        (["1,234", "2,345"], [], {"bad_amount": 2}),
        (["1,234", "12,5", "12.5"], [12.5, 12.5], {"bad_amount": 1}),
        (["1'234.50", "CHF 7"], [1234.5, 7.0], {}),
        (["1 234,50"], [1234.5], {}),
    ],
)
def test_an_ambiguous_price_is_read_as_the_others_say(
    tmp_path: Path, values: list[str], expected: list[float], reasons: dict[str, int]
) -> None:
    assert column(tmp_path, "price", values) == (expected, reasons)


def test_the_shop_may_name_the_decimal_mark(tmp_path: Path) -> None:
    assert column(tmp_path, "price", ["1,234", "2.345"], mark=",") == ([1.234, 2345.0], {})


def test_a_float_is_a_number_only_where_the_whole_column_is(tmp_path: Path) -> None:
    assert column(tmp_path, "item_id", ["1012.0", "1013", "7.0"])[0] == ["1012", "1013", "7"]
    assert column(tmp_path, "item_id", ["1012.0", "A-1"])[0] == ["1012.0", "A-1"]


def test_equal_rows_are_two_events_and_equal_ids_are_one(tmp_path: Path) -> None:
    plain = events(written(tmp_path, f"{HEADER}\n{ROW}\n{ROW}\n"))
    assert plain[1]["event_id"] == f"{plain[0]['event_id']}-1"
    with_ids = f"event_id,{HEADER}\ne1,{ROW}\ne1,{ROW}\ne1,{ROW.replace('i1', 'i2')}\n"
    source = opened(written(tmp_path, with_ids))
    assert [json.loads(line)["item_id"] for line in source.events()] == ["i1", "i2"] and source.repeated == 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_containers_are_told_apart(tmp_path: Path, start: str, end: str) -> None:
    row = dict(zip(HEADER.split(","), ROW.split(","), strict=True))
    contents = {
        "csv": f"{start}{HEADER}{end}{ROW}{end}{end}",
        "tsv": f"{start}{HEADER}{end}{ROW}{end}".replace(",", "\t"),
        "lines": f"{start}{json.dumps(row)}{end}{end}",
        "array": f"{start}{json.dumps([row], indent=1)}{end}",
        "pretty": f"{start}{json.dumps(row, indent=1)}{end}",
    }
    for name, content in contents.items():
        for file in (
            written(tmp_path, content, name),
            written(tmp_path, gzip.compress(content.encode()), f"{name}.gz"),
        ):
            assert [event["item_id"] for event in events(file)] == ["i1"], name


def test_parquet_is_read_with_its_types(tmp_path: Path) -> None:
    file = tmp_path / "shop.parquet"
    times = pa.array([1_767_225_600_000_000_001, None], pa.timestamp("ns"))
    pq.write_table(
        pa.table(
            {
                "event_time": times,
                "user_id": [1012.0, float("nan")],
                "item_id": [7, 8],
                "event_type": ["view", "view"],
                "price": pa.array(["1.50", None]).cast(pa.decimal128(6, 2)),
            }
        ),
        file,
    )
    source = opened(file)
    (line,) = source.events()
    event = json.loads(line)
    assert (event["event_time"], event["user_id"], event["item_id"]) == (1767225600000, "1012", "7")
    assert event["price"] == 1.5 and source.counts.reasons == {"missing_field": 1}


def test_an_array_longer_than_what_is_read_at_once_is_whole(tmp_path: Path) -> None:
    row = dict(zip(HEADER.split(","), ROW.split(","), strict=True))
    rows = [row | {"item_id": f"i{number}", "note": "ü" * 997} for number in range(2500)]
    file = written(tmp_path, json.dumps(rows, ensure_ascii=False))
    assert [event["item_id"] for event in events(file)] == [row["item_id"] for row in rows]


def test_a_column_that_is_no_text_is_said(tmp_path: Path) -> None:
    source = opened(
        written(
            tmp_path,
            f"{HEADER},name\n".encode()
            + ROW.encode()
            + b",M\xfcller\n"
            + ROW.replace("u1", "u\udcfc").encode("utf-8", "surrogateescape")
            + b",x\n",
        )
    )
    assert len([*source.events()]) == 1 and source.counts.reasons == {"not_utf8": 1}
    assert source.unused_columns == ["name"]


def test_a_type_for_all_rows(tmp_path: Path) -> None:
    file = written(tmp_path, "event_time,user_id,item_id\n2026-03-01,u1,i1\n")
    assert events(file, table=TableMap({}, "purchase"))[0]["event_type"] == "purchase"
    personal = written(tmp_path, "USER_ID,ITEM_ID,TIMESTAMP\nu1,i1,1767225600\n")
    assert events(personal, "personalize", table=TableMap({}, "return"))[0]["quantity"] == -1
