import numpy as np

from operators.shopper.features import WINDOW, Vocabulary, features, window_starts
from operators.shopper.state_layout import EMPTY, read_states
from operators.shopper.user_state import KINDS, id_hash
from tests.builders import event, state_after, viewed

WORDS = Vocabulary([f"i{n}" for n in range(1, 100)])


def test_rows_and_hashes_agree() -> None:
    hashes = np.array([[id_hash("i1"), id_hash("i99")], [id_hash("nobody"), 0]], dtype=np.uint64)
    assert WORDS.rows_of_hashes(hashes).tolist() == [[1, 99], [0, 0]]
    assert (WORDS.row("i7"), WORDS.row("nobody")) == (7, 0)


def test_an_empty_vocabulary_knows_nothing() -> None:
    assert Vocabulary([]).rows_of_hashes(np.array([5], dtype=np.uint64)).tolist() == [0]


def test_steps_come_oldest_first_and_padded_on_the_right() -> None:
    found = features(read_states([viewed("i3", "i1")]), WORDS)
    assert found.length.tolist() == [2]
    assert found.items[0, :3].tolist() == [3, 1, 0]
    assert found.kinds[0, :3].tolist() == [KINDS["view"], KINDS["view"], 0]


def test_only_the_last_window_counts_also_after_the_ring_went_round() -> None:
    state = viewed(*(f"i{1 + n % 90}" for n in range(130)))
    found = features(read_states([state]), WORDS)
    assert found.items[0].tolist() == [1 + n % 90 for n in range(130 - WINDOW, 130)]


def test_a_window_keeps_its_start_until_it_hops() -> None:
    starts = []
    for steps in range(1, 131):
        found = features(read_states([viewed(*(f"i{1 + n % 90}" for n in range(steps)))]), WORDS, 12, hop=5)
        length = int(found.length[0])
        assert found.items[0, :length].tolist() == [1 + n % 90 for n in range(steps - length, steps)]
        assert length == steps or 8 <= length <= 12
        starts.append(steps - length)
    assert {*starts} == {*range(0, 121, 5)} and starts == sorted(starts)


def test_a_hop_of_one_is_the_newest_window() -> None:
    steps = np.arange(200)
    assert (window_starts(steps, 20, 1) == np.maximum(steps - 20, 0)).all()


def test_unknown_items_count_for_the_start_of_the_window() -> None:
    found = features(read_states([viewed(*["new"] * 9, "i1", "i2", "i3", "i4")]), WORDS, 8, hop=4)
    assert found.items[0].tolist() == [1, 2, 3, 4, 0, 0, 0, 0] and found.steps.tolist() == [13]


def test_unknown_items_leave_no_gap() -> None:
    found = features(read_states([viewed("i3", "new", "i4"), viewed("i5")]), WORDS)
    assert found.items[:, :3].tolist() == [[3, 4, 0], [5, 0, 0]]
    assert found.length.tolist() == [2, 1]


def test_a_user_without_history_has_length_0_and_a_runnable_input() -> None:
    found = features(read_states([EMPTY, viewed("new")]), WORDS)
    assert found.length.tolist() == [0, 0]
    assert found.inputs()["length"].tolist() == [1, 1]
    assert not found.items.any()


def test_a_batch_gives_what_each_user_alone_gives() -> None:
    states = [viewed(*(f"i{1 + (n * k) % 99}" for n in range(k))) for k in range(1, 40)]
    states.append(state_after(event(0, "purchase", items=["i4", "new", "i5"])))
    together = features(read_states(states), WORDS)
    for user, state in enumerate(states):
        alone = features(read_states([state]), WORDS)
        assert together.items[user].tolist() == alone.items[0].tolist()
        assert together.kinds[user].tolist() == alone.kinds[0].tolist()
