"""What a shop may bring by mistake: each is a clear error or a stated fall-back, and leaves nothing half-written."""

import json
import random
from pathlib import Path

import pytest

from model_export.data.sessions import read_sessions
from model_export.data.splits import of_events, of_sessions, validation
from operators.contracts import encode_record
from operators.errors import EventsFileError
from tests.builders import NOW_MS, event
from tests.model_export.test_sessions import write

SPLIT = {"test_share": 0.1, "test_from": None, "min_count": 1, "seed": 7, "window": 20}


def shop(file: Path, *, items: int = 30, shuffled: bool = False) -> Path:
    lines = [
        encode_record(
            event(
                event_id=f"{n}",
                user_id=f"u{n % 40}",
                item_id=f"p{n % items}",
                event_time=NOW_MS + n * 1000,
                event_type="view",
            )
        )
        for n in range(1000)
    ]
    if shuffled:
        random.Random(3).shuffle(lines)
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(EventsFileError, match="an empty file"):
        of_events(tmp_path / "empty.jsonl", None, **SPLIT)


def test_one_item(tmp_path: Path) -> None:
    with pytest.raises(EventsFileError, match="at least 10 items"):
        of_events(shop(tmp_path / "one.jsonl", items=1), None, **SPLIT)


def test_unsorted_times_are_sorted(tmp_path: Path) -> None:
    sorted_, mixed = (of_events(shop(tmp_path / f"{n}.jsonl", shuffled=bool(n)), None, **SPLIT) for n in range(2))
    assert sorted_.known.target.tolist() == mixed.known.target.tolist()


def test_a_price_that_is_no_number_names_its_line(tmp_path: Path) -> None:
    file = shop(tmp_path / "nan.jsonl")
    record = json.loads(file.read_text().splitlines()[0])
    file.write_text(file.read_text() + json.dumps(record | {"event_id": "x", "price": float("nan")}) + "\n")
    with pytest.raises(EventsFileError, match="line 1001"):
        of_events(file, None, **SPLIT)


def test_a_file_that_ends_in_the_middle_of_a_line_names_it(tmp_path: Path) -> None:
    file = shop(tmp_path / "cut.jsonl")
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(EventsFileError, match="line 1000"):
        of_events(file, None, **SPLIT)


def test_a_test_begins_within_the_datas_times(tmp_path: Path) -> None:
    file = shop(tmp_path / "events.jsonl")
    found = of_events(file, None, **SPLIT | {"test_from": NOW_MS + 900_000})
    assert found.trained_on["to_ms"] == NOW_MS + 900_000
    with pytest.raises(EventsFileError, match=f"looks like seconds. Next: give --test-from {NOW_MS + 900_000}"):
        of_events(file, None, **SPLIT | {"test_from": (NOW_MS + 900_000) // 1000})
    for outside in (1, NOW_MS, NOW_MS + 1_000_000):
        with pytest.raises(EventsFileError, match="name a time between"):
            of_events(file, None, **SPLIT | {"test_from": outside})


def test_a_share_at_its_end_is_a_split_or_an_error_that_names_it(tmp_path: Path) -> None:
    assert len(of_events(shop(tmp_path / "events.jsonl"), None, **SPLIT | {"test_share": 0.001}).test)
    with pytest.raises(EventsFileError, match="--test-share"):
        of_events(shop(tmp_path / "events.jsonl"), None, **SPLIT | {"test_share": 0.999})


def test_items_of_the_test_that_were_never_seen_are_no_questions_of_a_shop(tmp_path: Path) -> None:
    file = shop(tmp_path / "new.jsonl")
    late = event(event_id="late", user_id="u1", item_id="brand-new", event_time=NOW_MS + 2_000_000, event_type="view")
    file.write_bytes(file.read_bytes() + encode_record(late) + b"\n")
    split = of_events(file, None, **SPLIT)
    assert split.words.row("brand-new") == 0 and (split.test.target > 0).all()


def test_one_session_and_one_item_of_sessions(tmp_path: Path) -> None:
    with pytest.raises(EventsFileError, match="200 item events"):
        of_sessions(read_sessions(write(tmp_path / "one", [[1, 2, 3]], [[1]], [2])), 20)
    with pytest.raises(EventsFileError, match="two different items"):
        of_sessions(read_sessions(write(tmp_path / "item", [[1, 1, 1]] * 300, [[1]], [1])), 20)


def test_the_validation_window_is_the_newest_and_is_not_learned_from(tmp_path: Path) -> None:
    split = of_sessions(read_sessions(write(tmp_path / "s", [[n, n + 1, n + 2] for n in range(300)], [[1]], [2])), 20)
    before, asked = validation(split, seed=7)
    assert before.time_ms.max() < asked.time_ms.min()
    assert len(before) + len(asked) < len(split.known)  # first steps ask nothing
    assert (asked.features.length > 0).all()
