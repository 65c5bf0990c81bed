"""Data that must not be trained on, and the reference of what was."""

import shutil
from pathlib import Path

import pytest

from model_export.bundles.reference import add_reference
from model_export.data.data_tests import check_training_data
from model_export.data.dataset import examples
from operators.errors import EventsFileError
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import Event
from tests.builders import write_bundle


def events(count: int = 400, **fields) -> list[Event]:
    event_list = []
    for n in range(count):
        values = {
            "event_id": f"e{n}", "event_type": "view", "event_time": 1_700_000_000_000 + n * 1000,
            "user_id": f"u{n % 40}", "item_id": f"i{n % 30 + 1}", "price": 2.0,
        }  # fmt: skip
        event_list.append(Event(**(values | fields)))
    return event_list


def test_good_data_passes() -> None:
    check_training_data(events(), "good.jsonl")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"user_id": "robot"}, "by one user"),
        ({"item_id": "one"}, "on one item"),
        ({"event_time": 1_700_000_000_000}, "at the same millisecond"),
        ({"event_id": "same"}, "event ids twice"),
    ],
)
def test_bad_data_stops_with_a_reason(fields: dict[str, object], expected: str) -> None:
    with pytest.raises(EventsFileError, match=expected) as stopped:
        check_training_data(events(**fields), "bad.jsonl")
    assert "liveshelf profile" in stopped.value.fix


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(EventsFileError) as stopped:
        check_training_data(events(user_id="robot", item_id="one"), "bad.jsonl")
    assert "by one user" in str(stopped.value) and "on one item" in str(stopped.value)


def test_no_event_is_no_crash() -> None:
    with pytest.raises(EventsFileError, match="at least 10 users"):
        check_training_data([], "empty.jsonl")


def test_a_reference_is_part_of_the_bundle_and_its_sums(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    assert ModelBundle.load(folder).reference == {}
    words = ModelBundle.load(folder).vocabulary
    event_list = [Event(event_id=f"x{n}", event_type="view", event_time=1_700_000_000_000 + n, user_id=f"u{n % 5}", item_id=f"i{n % 8 + 1}") for n in range(200)]  # fmt: skip
    add_reference(folder, examples(event_list, words))
    reference = ModelBundle.load(folder).reference
    assert set(reference) == {"history_length", "last_kind", "last_item_popularity", "top_score"}
    assert all(abs(bins.shares.sum() - 1) < 1e-4 for bins in reference.values())
    tampered = shutil.copytree(folder, tmp_path / "tampered")
    (tampered / "reference.json").write_text("{}")
    with pytest.raises(Exception, match=r"reference\.json"):
        ModelBundle.load(tampered)
