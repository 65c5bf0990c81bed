import pytest
from pydantic import ValidationError

from operators.configuration.shop_settings import FeedbackSettings
from operators.feedback.join_limits import Windows
from operators.time_units import DAY_MS


def test_the_defaults_are_half_an_hour_and_a_day() -> None:
    assert Windows.of(FeedbackSettings(), 24) == Windows(1_800_000, 86_400_000, 86_400_000)
    assert not FeedbackSettings().enabled


def test_windows_may_be_fractions_of_a_minute() -> None:
    settings = FeedbackSettings(click_minutes=0.05, purchase_minutes=0.2)
    assert Windows.of(settings, 0.5) == Windows(3_000, 12_000, 1_800_000)


@pytest.mark.parametrize(
    "wrong",
    [
        {"click_minutes": 0},
        {"click_minutes": -1},
        {"purchase_minutes": float("nan")},
        {"purchase_minutes": float("inf")},
        {"click_minutes": 31, "purchase_minutes": 30},
        {"click_minute": 30},
        {"purchase_minutes": "many"},
    ],
)
def test_windows_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        FeedbackSettings(**wrong)


def test_a_state_outlives_its_windows_on_an_idle_partition_and_remembers_closed_lists_for_a_week() -> None:
    windows = Windows.of(FeedbackSettings(), 24)
    assert windows.time_to_live_ms == (2 + 1 + 7) * DAY_MS
