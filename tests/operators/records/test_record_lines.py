"""Files of records: which lines are read, and which files are none of JSON lines."""

import gzip
import json
import os
from pathlib import Path

import pytest

from operators.configuration.shop_settings import EventSettings
from operators.errors import EventsFileError
from operators.records.record_file import catalogue_file, event_file
from operators.records.record_lines import RecordLines
from tests.bad_records import good_event

LINES = [json.dumps(good_event(event_id=f"e{n}")).encode() for n in range(3)]


def written(folder: Path, content: bytes) -> Path:
    file = folder / "events[1].jsonl"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize(
    "content",
    [
        b"\n".join(LINES),
        b"\r\n".join(LINES) + b"\r\n",
        b"\xef\xbb\xbf" + b"\n".join(LINES) + b"\n",
        gzip.compress(b"\n".join(LINES), mtime=0),
    ],
    ids=["LF", "CRLF", "byte-order mark", "gzip"],
)
def test_lines_are_read(tmp_path: Path, content: bytes) -> None:
    assert [*RecordLines(written(tmp_path, content))] == [*enumerate(LINES, start=1)]


def test_blank_lines_are_skipped_and_counted_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    lines = RecordLines(written(tmp_path, b"\n" + LINES[0] + b"\n \r\n\n" + LINES[1] + b"\n\n"))
    assert [number for number, _ in lines] == [2, 5]
    assert lines.blank == 4


@pytest.mark.parametrize(
    ("content", "what", "fix"),
    [
        (b"", "an empty file", "export"),
        (b"\n\r\n \n", "blank lines alone", "export"),
        (b"\n".join(LINES).decode().encode("utf-16"), "UTF-16", "iconv"),
        (b"\n".join(LINES).decode().encode("utf-16-le"), "UTF-16", "iconv"),
        (b"[" + b",".join(LINES) + b"]", "a JSON array", "jq -c '.[]'"),
        (json.dumps([good_event()], indent=2).encode(), "a JSON array", "jq -c '.[]'"),
        (json.dumps(good_event(), indent=2).encode(), "JSON over several lines", "jq -c ."),
        (b"event_time,event_type,product_id\n2019-10-01 00:00:00 UTC,view,44600062\n", "CSV", "--from csv"),
        (b"a;b\n1;2\n", "CSV", "--from csv"),
        (b"".join(LINES), "several objects on a line", "jq -c ."),
        (b",\n".join(LINES), "commas between", "sed"),
        (b"<html><body>504</body></html>", "web page", "export"),
        (b"Obj\x01rest", "Avro", "avro-tools"),
        (gzip.compress(b"events.jsonl".ljust(257, b"\0") + b"ustar\x0000", mtime=0), "tar archive", "tar -xf"),
        (b"PK\x03\x04rest", "a zip archive", "unzip"),
        (b"PAR1rest", "a parquet file", "read_parquet"),
        (gzip.compress(b"\n".join(LINES) * 1000, mtime=0)[:-20], "ended before", "mend"),
    ],
)
def test_a_file_of_another_form_is_refused_with_what_it_is(tmp_path: Path, content: bytes, what: str, fix: str) -> None:
    with pytest.raises(EventsFileError, match="Next") as refused:
        [*RecordLines(written(tmp_path, content))]
    assert what in refused.value.came and fix in refused.value.fix
    assert "\n" not in str(refused.value)


def test_no_file_and_a_folder_are_said(tmp_path: Path) -> None:
    for file, said in ((tmp_path / "none.jsonl", "No such file"), (tmp_path, "directory")):
        with pytest.raises(EventsFileError, match=said):
            event_file(file, EventSettings())


def test_a_pipe_is_refused_for_it_gives_its_lines_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EventsFileError, match="save it first"):
        event_file(tmp_path / "pipe", EventSettings())


def test_bad_lines_are_left_out_and_said(tmp_path: Path) -> None:
    file = written(tmp_path, b"\n".join([*LINES, b"{", json.dumps(good_event(price=-1)).encode()]))
    events = event_file(file, EventSettings())
    assert [event.event_id for event in events] == ["e0", "e1", "e2"]
    assert events.bad == {"not_json": 1, "bad_amount": 1}
    assert events.left_out().startswith(f"2 of 5 events of {file} are left out: not_json 1, bad_amount 1; first line 4")
    events.refuse_mostly_bad()


@pytest.mark.parametrize("good", [0, 1])
def test_a_file_that_is_mostly_bad_is_refused_with_its_reasons(tmp_path: Path, good: int) -> None:
    items = catalogue_file(
        written(tmp_path, b"\n".join([b'{"item_id":"i1"}'] * good + [b'{"title":"x"}'] * 2)), EventSettings()
    )
    assert len([*items]) == good
    with pytest.raises(EventsFileError, match=r"missing_field 2; first line"):
        items.refuse_mostly_bad()
