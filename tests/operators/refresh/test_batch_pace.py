"""When requests stream, and how many users a micro-batch may hold."""

import pytest

from operators.refresh.batch_pace import AVERAGED_BATCHES, DEADLINE_SHARE, BatchPace

DEADLINE_S = 0.5


def paced(seconds_a_user: float, batches: int = 10 * AVERAGED_BATCHES) -> BatchPace:
    pace = BatchPace(128, DEADLINE_S)
    for _ in range(batches):
        pace.scored(pace.room, pace.room * seconds_a_user)
    return pace


def test_a_stream_is_known_by_its_last_requests_and_over_after_a_pause() -> None:
    pace = BatchPace(128, DEADLINE_S)
    for number in range(400):
        pace.on_requests(1, number * 0.0002)
    assert pace.streams(400 * 0.0002)
    assert not pace.streams(400 * 0.0002 + 0.02)
    for number in range(400):
        pace.on_requests(1, 1 + number * 0.005)
    assert not pace.streams(1 + 400 * 0.005)


def test_a_small_catalogue_has_whole_micro_batches() -> None:
    assert BatchPace(128, DEADLINE_S).room == 128
    assert paced(0.0001).room == 128


@pytest.mark.parametrize("seconds_a_user", [0.004, 0.02, 0.1])
def test_a_micro_batch_is_done_well_before_the_deadline(seconds_a_user: float) -> None:
    pace = paced(seconds_a_user)
    assert pace.room == pytest.approx(max(1.0, DEADLINE_SHARE * DEADLINE_S / seconds_a_user), abs=1)


def test_a_batch_that_hung_is_soon_forgotten() -> None:
    pace = paced(0.0001)
    pace.scored(100, 10.0)
    assert pace.room == 128
    pace.scored(1, 10.0)
    for _ in range(5 * AVERAGED_BATCHES):
        pace.scored(pace.room, pace.room * 0.0001)
    assert pace.room == 128


def test_after_slow_ones_the_room_grows_again() -> None:
    pace = paced(0.1)
    assert pace.room == 1
    for _ in range(10 * AVERAGED_BATCHES):
        pace.scored(pace.room, pace.room * 0.0001)
    assert pace.room == 128
