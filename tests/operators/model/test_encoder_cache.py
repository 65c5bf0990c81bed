"""What the encoder cache finds, keeps and forgets. The encoder here adds up: its state is the sum of all codes so far."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from operators.model.encoder_cache import KINDS, NOT_KEPT, EncoderCache, Kept
from operators.model.model_bundle import MAX_ITEMS

WINDOW, ENTRY = 6, 4 * (6 + 1 + 1 + 6 * 1) + 256
Histories = dict[str, list[int]]


def cache_of(users: int) -> EncoderCache:
    return EncoderCache(users * ENTRY, WINDOW, 1, 1)


def padded(steps: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """items [B, W], length [B]."""
    items = np.zeros((len(steps), WINDOW), np.int32)
    for row, own in zip(items, steps, strict=True):
        row[: len(own)] = own
    return items, np.array([len(own) for own in steps], np.int32)


def encode(
    cache: EncoderCache, histories: Histories, names: Sequence[str]
) -> tuple[Kept, list[float], list[list[float]]]:
    """(what was found, states, keys of all steps): a key is the sum until its step."""
    items, length = padded([histories[name] for name in names])
    kept = cache.find(names, items, items * 0)
    states, keys = cache.read(kept)
    new = max(int((length - kept.known).max()), 1)
    sums = np.zeros((len(names), new, 1), np.float32)
    for user, known in enumerate(kept.known.tolist()):
        sums[user, :, 0] = states[user] + np.cumsum([*items[user, known : length[user]], *[0] * new][:new])
    last = np.where(length > kept.known, sums[np.arange(len(names)), length - kept.known - 1, 0], states[:, 0])
    all_keys = [
        [*keys[user, :known, 0], *sums[user, : length[user] - known, 0]]
        for user, known in enumerate(kept.known.tolist())
    ]
    cache.store(kept, length, last[:, None].astype(np.float32), sums)
    return kept, last.tolist(), all_keys


NAMES = [f"u{number}" for number in range(8)]
# one batch: the names asked, and what happens to each before: steps that come, or (None) all are forgotten
batches = st.lists(
    st.tuples(
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=10),
        st.lists(st.lists(st.integers(1, 9), max_size=3) | st.none(), min_size=8, max_size=8),
    ),
    max_size=12,
)


@given(batches, st.integers(0, 10))
def test_any_history_has_the_state_of_all_its_steps(
    turns: list[tuple[list[str], list[list[int] | None]]], size: int
) -> None:
    """Users come again or not, twice in a batch, with forgotten histories and windows that move; the cache may be smaller
    than a batch."""
    cache, histories = cache_of(size), {name: [1] for name in NAMES}
    for names, events in turns:
        for name, new in zip(NAMES, events, strict=True):
            longer = [*histories[name], *new] if new is not None else [2]
            histories[name] = longer if len(longer) <= WINDOW else longer[-3:]
        _, states, keys = encode(cache, histories, names)
        for name, state, own_keys in zip(names, states, keys, strict=True):
            assert state == sum(histories[name])
            assert own_keys == np.cumsum(histories[name]).tolist()


def test_the_new_steps_alone_are_read() -> None:
    cache = cache_of(4)
    assert encode(cache, {"a": [1, 2], "b": [5]}, ["a", "b"])[0].known.tolist() == [0, 0]
    assert encode(cache, {"a": [1, 2, 3], "b": [5], "c": [1]}, ["c", "a", "b"])[0].known.tolist() == [0, 2, 1]
    assert (cache.hits, cache.misses) == (2, 3)


def test_other_steps_and_fewer_ones_are_read_whole() -> None:
    cache = cache_of(4)
    encode(cache, {"a": [1, 2, 3]}, ["a"])
    for other in ([1, 2], [2, 2, 3, 4], [4], [2, 3, 4]):
        assert encode(cache, {"a": other}, ["a"])[0].known.tolist() == [0]
        encode(cache, {"a": [1, 2, 3]}, ["a"])


def test_a_step_of_another_kind_is_another_step() -> None:
    cache = cache_of(2)
    items, length = padded([[1, 2]])
    for kinds, known in ((items, 0), (items, 2), (items * 3, 0)):
        kept = cache.find(["a"], items, kinds)
        assert kept.known.tolist() == [known]
        cache.store(kept, length, np.ones((1, 1), np.float32), np.ones((1, 2, 1), np.float32))


def test_the_largest_code_fits() -> None:
    largest = MAX_ITEMS * KINDS + KINDS - 1
    assert largest <= np.iinfo(np.int32).max


def test_the_user_who_was_not_asked_for_longest_goes() -> None:
    cache, histories = cache_of(2), {name: [1, 2] for name in "abc"}
    for names in ("ab", "a", "c"):
        encode(cache, histories, names)
    assert encode(cache, histories, "ac")[0].known.tolist() == [2, 2]
    assert encode(cache, histories, "b")[0].known.tolist() == [0]


def test_a_batch_larger_than_the_cache_and_a_user_asked_twice_are_not_kept() -> None:
    cache, histories = cache_of(2), {name: [1] for name in "abcd"}
    assert (encode(cache, histories, "abcda")[0].places != NOT_KEPT).tolist() == [True, True, False, False, False]


def test_no_bytes_keep_nobody() -> None:
    cache = cache_of(0)
    assert cache.bytes == cache.users == 0
    for _ in range(2):
        assert encode(cache, {"a": [1, 2]}, ["a"])[1] == [3]
    assert (cache.hits, cache.misses) == (0, 2)


def test_its_bytes_are_within_the_bound() -> None:
    cache = EncoderCache(1 << 20, 28, 128, 128)
    arrays = [value for value in vars(cache).values() if isinstance(value, np.ndarray)]
    assert sum(array.nbytes for array in arrays) < cache.bytes <= 1 << 20
    assert cache.users > 60


def test_what_is_no_number_is_not_kept() -> None:
    cache = cache_of(2)
    items, length = padded([[1], [2]])
    kept = cache.find("ab", items, items)
    cache.store(kept, length, np.array([[np.nan], [2]], np.float32), np.ones((2, 1, 1), np.float32))
    assert cache.find("ab", items, items).known.tolist() == [0, 1]


def test_a_cleared_cache_knows_nobody() -> None:
    cache = cache_of(2)
    encode(cache, {"a": [1]}, "a")
    cache.clear()
    assert encode(cache, {"a": [1], "b": [1]}, "ab")[0].known.tolist() == [0, 0]
