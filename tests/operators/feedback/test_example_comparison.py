"""The comparison itself: what is planted is found."""

import msgspec
import pytest

from operators.feedback.example_comparison import Comparison, Key, compare, keys_of
from operators.records.contracts import Example, Label
from tests.operators.feedback.shopper import HOUR, Shopper, served

EXPECTED: dict[Key, str] = {("r1", "i1"): "purchase", ("r1", "i2"): "none", ("", "organic i5"): "click"}


def good() -> list[Example]:
    shopper = Shopper().gets(served()).sees("i1", "i2").does("click", "i5", event_id="organic").at(HOUR)
    return shopper.does("purchase", "i1", recommendation_id="r1").waits_out().examples


def found(examples: list[Example], *, read_to_end: bool = True) -> Comparison:
    return compare(examples, EXPECTED, keys_of(EXPECTED, "u1"), read_to_end=read_to_end)


def changed(example: Example, **fields: object) -> Example:
    return msgspec.structs.replace(example, **fields)


def of_item(item: str, revision: int = 0) -> int:
    return next(n for n, e in enumerate(good()) if (e.item_id, e.revision) == (item, revision))


def test_what_must_be_there_and_nothing_else_is_ok() -> None:
    assert found(good()).verdict == "ok"


@pytest.mark.parametrize(("item", "key"), [("i2", ("r1", "i2")), ("i5", ("", "organic i5"))])
def test_a_planted_loss_is_found(item: str, key: Key) -> None:
    examples = good()
    del examples[of_item(item)]
    assert (found(examples).lost, found(examples).verdict) == ({key}, "broken")


def test_a_lost_correction_is_found() -> None:
    examples = good()
    del examples[of_item("i1", 1)]
    assert found(examples).mislabelled == {("r1", "i1"): ("purchase", "none")}
    assert found(examples).verdict == "broken"


def test_a_lost_first_revision_is_found() -> None:
    examples = good()
    del examples[of_item("i1")]
    assert (found(examples).unfinished, found(examples).verdict) == ({("r1", "i1")}, "broken")


@pytest.mark.parametrize("item", ["i1", "i2", "i5"])
def test_a_planted_duplicate_is_found(item: str) -> None:
    examples = good()
    examples.append(examples[of_item(item)])
    assert len(found(examples).twice) == 1
    assert found(examples).verdict == "broken"


def test_a_second_id_for_the_same_item_is_a_duplicate() -> None:
    examples = good()
    examples.append(changed(examples[of_item("i2")], example_id="other"))
    assert found(examples).twice == {("r1", "i2")}


@pytest.mark.parametrize("fields", [{"item_id": "i9"}, {"recommendation_id": "r9"}, {"organic": True}])
def test_a_planted_phantom_is_found(fields: dict[str, object]) -> None:
    examples = good()
    examples.append(changed(examples[of_item("i2")], example_id="phantom", **fields))
    assert len(found(examples).phantoms) == 1
    assert found(examples).verdict == "broken"


@pytest.mark.parametrize("label", ["click", "none"])
def test_a_planted_label_is_found(label: Label) -> None:
    examples = good()
    place = of_item("i1", 1)
    examples[place] = changed(examples[place], label=label)
    assert found(examples).verdict == "broken"


@pytest.mark.parametrize("spoil", [False, True])
def test_an_end_that_was_not_read_is_unknown(spoil: bool) -> None:
    assert found(good()[:1] if spoil else good(), read_to_end=False).verdict == "unknown"
