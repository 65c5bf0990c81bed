import msgspec

from operators.feedback.final_examples import final_examples
from tests.operators.feedback.shopper import HOUR, Shopper, served


def test_the_highest_revision_of_each_id_is_valid_in_any_order() -> None:
    shopper = Shopper().gets(served()).sees("i1", "i2").at(HOUR).does("purchase", "i1", recommendation_id="r1")
    first, other, corrected = shopper.examples
    for order in ([first, other, corrected], [corrected, other, first], [first, corrected, first, other, other]):
        final = final_examples(order)
        assert len(final) == 2
        assert final[first.example_id] == corrected
        assert final[other.example_id] == other


def test_of_two_with_one_revision_the_first_stays() -> None:
    first = Shopper().sees("i1").waits_out().examples[0]
    second = msgspec.structs.replace(first, label="click")
    assert [*final_examples([first, second]).values()] == [first]
    assert final_examples([]) == {}
