"""The best rows of all scores of a micro-batch, exact, on the CPU: ONNX Runtime's top-k takes three times as long
(docs/notebook/scoring.md)."""

import numpy as np
import numpy.typing as npt

from operators.model.batch_trimming import BestRows

BLOCKS_FOR_EACH = 2.4  # blocks for each of the best: fewer let more candidates pass, more cost more themselves
CROWDED = 8  # candidates for each of the best: more of them are sorted user by user
_MAGNITUDE = np.int32(0x7FFFFFFF)
_LAST = np.iinfo(np.int64).max


def best_rows(scores: npt.NDArray[np.float32], count: int) -> BestRows:
    """The `count` best of `scores` float32 [B, N], best first, and of equals the first: (scores, rows) [B, count].

    `scores` is contiguous and N at least `count`. A user with NaN among the scores may get NaN for all of them.

    The items are dealt into blocks. The maxima of the `count` best blocks are scores of `count` different items, so each
    of the best is at least as great as the least of these maxima. Few other items are.
    """
    users, items = scores.shape
    if users == 1 and (of_one := _of_one(scores[0], count)) is not None:
        return of_one
    passed = np.flatnonzero(scores >= _thresholds(scores, count)[:, None])
    firsts = np.arange(users + 1) * items
    ends = np.searchsorted(passed, firsts)
    counts = ends[1:] - ends[:-1]
    if (odd := (counts < count) | (counts > CROWDED * count)).any():
        return _apart(scores, count, odd)
    keys = np.full((users, counts.max(initial=count)), _LAST)
    rows_passed = passed - np.repeat(firsts[:-1], counts)
    keys[np.arange(keys.shape[1]) < counts[:, None]] = _keys(scores.ravel()[passed], rows_passed)
    keys.sort(axis=1)
    rows = (keys[:, :count] & 0xFFFFFFFF).astype(np.int32)
    return scores[np.arange(users)[:, None], rows], rows


def _of_one(scores: npt.NDArray[np.float32], count: int) -> BestRows | None:
    """The best of one user's scores [N]; None with NaN among the best. Half the numpy calls of the way for many."""
    least = len(scores) - count
    passed = np.flatnonzero(scores >= np.partition(scores, least)[least])
    if len(passed) < count:  # a NaN counts as the greatest for `partition`, and as not greater here
        return None
    keys = _keys(scores[passed], passed)
    keys.sort()
    rows = keys[:count] & 0xFFFFFFFF
    return scores[rows][None], rows.astype(np.int32)[None]


def _thresholds(scores: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """float32 [B]: at least `count` scores of each user are as great."""
    users, items = scores.shape
    size = max(int(items / (BLOCKS_FOR_EACH * count)), 1)
    blocks = items // size
    row, column = scores.strides
    # block b holds the items b, b + blocks, b + 2 * blocks, …; the last few items are in none
    dealt: npt.NDArray[np.float32] = np.ndarray(
        (users, size, blocks), np.float32, scores, strides=(row, blocks * column, column)
    )
    maxima = dealt.max(axis=1)
    maxima.partition(blocks - count, axis=1)
    thresholds: npt.NDArray[np.float32] = maxima[:, blocks - count]
    return thresholds


def _keys(scores: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Integers that sort as the scores from the greatest on, and of equal scores as the rows."""
    bits = (scores + np.float32(0)).view(np.int32)  # -0 becomes 0
    falling = ~(bits ^ ((bits >> 31) & _MAGNITUDE))
    return (falling.astype(np.int64) << 32) + rows


def _apart(scores: npt.NDArray[np.float32], count: int, odd: npt.NDArray[np.bool_]) -> BestRows:
    """The users of the mask `odd`, who have many equal scores, or NaN, are sorted whole."""
    best, rows = np.empty((len(scores), count), np.float32), np.empty((len(scores), count), np.int32)
    best[~odd], rows[~odd] = best_rows(scores[~odd], count)
    for user in np.flatnonzero(odd):
        rows[user] = np.argsort(-scores[user], kind="stable")[:count]
        best[user] = np.nan if np.isnan(scores[user]).any() else scores[user, rows[user]]
    return best, rows
