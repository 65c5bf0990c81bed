"""What a shop may bring by mistake: each is a clear error or a stated fall-back, and leaves nothing half-written."""

import json
import random
from pathlib import Path

import pytest

from model_export.data.data_tests import check_training_data
from model_export.data.dataset import read_events
from model_export.data.sessions import read_sessions
from model_export.data.splits import of_events, of_sessions, validation
from operators.errors import EventsFileError
from operators.records.contracts import encode_record
from tests.builders import NOW_MS, event
from tests.model_export.data.test_sessions import write

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
    in_order, mixed = (of_events(shop(tmp_path / f"{n}.jsonl", shuffled=bool(n)), None, **SPLIT) for n in range(2))
    assert in_order.train.target.tolist() == mixed.train.target.tolist()


def test_a_bad_line_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = shop(tmp_path / "refund.jsonl")
    record = json.loads(file.read_text().splitlines()[0])
    file.write_text(file.read_text() + json.dumps(record | {"event_id": "x", "price": -1.0}) + "\n")
    split = of_events(file, None, **SPLIT)
    assert split.cleaning["events"]["in"] == 1000
    assert "1 of 1001 events" in caplog.text and "bad_amount 1; first line 1001" in caplog.text


def test_a_file_that_ends_in_the_middle_of_a_line_is_read_up_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = shop(tmp_path / "cut.jsonl")
    file.write_bytes(file.read_bytes()[:-30])
    assert of_events(file, None, **SPLIT).cleaning["events"]["in"] == 999
    assert "not_json 1; first line 1000" in caplog.text


def test_a_file_that_is_mostly_bad_is_refused_with_its_reasons(tmp_path: Path) -> None:
    file = shop(tmp_path / "bad.jsonl")
    file.write_bytes(file.read_bytes().replace(b'"view"', b'"viewed"'))
    with pytest.raises(EventsFileError, match="unknown_event_type 1000"):
        of_events(file, None, **SPLIT)


def test_a_test_begins_within_the_datas_times(tmp_path: Path) -> None:
    file = shop(tmp_path / "events.jsonl")
    split = of_events(file, None, **SPLIT | {"test_from": NOW_MS + 900_000})
    assert split.trained_on["to_ms"] == NOW_MS + 900_000
    with pytest.raises(EventsFileError, match=f"looks like seconds. Next: give --test-from {NOW_MS + 900_000}"):
        of_events(file, None, **SPLIT | {"test_from": (NOW_MS + 900_000) // 1000})
    for test_from in (1, NOW_MS, NOW_MS + 1_000_000):
        with pytest.raises(EventsFileError, match="name a time between"):
            of_events(file, None, **SPLIT | {"test_from": test_from})


def test_a_share_at_its_end_is_a_split_or_an_error_that_names_it(tmp_path: Path) -> None:
    assert len(of_events(shop(tmp_path / "events.jsonl"), None, **SPLIT | {"test_share": 0.001}).test)
    with pytest.raises(EventsFileError, match="--test-share"):
        of_events(shop(tmp_path / "events.jsonl"), None, **SPLIT | {"test_share": 0.999})


def test_a_catalogue_that_names_the_items_otherwise_is_the_cause_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, catalogue = shop(tmp_path / "e.jsonl"), tmp_path / "c.jsonl"
    catalogue.write_text("".join(f'{{"item_id": "p{n}.0"}}\n' for n in range(30)))
    with pytest.raises(EventsFileError, match=r"'p\d+', .* in the events, 'p0.0', .* in the catalogue"):
        of_events(file, catalogue, **SPLIT)
    catalogue.write_text("".join(f'{{"item_id": "p{n}", "title": null, "price": "2,50 €"}}\n' for n in range(10)))
    assert len(of_events(file, catalogue, **SPLIT).words) == 10
    assert "20 of the 30 items of the events are not in the catalogue" in caplog.text


def test_baskets_count_as_the_items_in_them(tmp_path: Path) -> None:
    file = tmp_path / "baskets.jsonl"
    lines = [
        {"event_id": f"o{n}", "event_type": "purchase", "event_time": NOW_MS + n, "user_id": f"u{n % 40}"}
        | {"items": [f"p{(n + m) % 24}" for m in range(3)]}
        for n in range(400)
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    check_training_data(read_events(file), file.name)


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
    before, questions = validation(split, seed=7)
    assert before.time_ms.max() < questions.time_ms.min()
    assert len(before) + len(questions) < len(split.train)  # first steps ask nothing
    assert (questions.features.length > 0).all()
