"""Settings of events, lists, demand, feedback and experiments: limits, form, half-lives, windows, arms."""

from math import inf
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from operators.configuration.settings_section import Section

PLACEHOLDER_IDS = (
    "undefined", "null", "<null>", "(null)", "\\N", "none", "(none)", "nil", "nan", "n/a", "#n/a", "(not set)",
    "[object Object]", "anonymous",
)  # fmt: skip


def _rising(scale: list[float]) -> list[float]:
    if len(scale) != 2 or not -inf < scale[0] < scale[1] < inf:
        raise ValueError("the lowest rating first, then the highest, expected")
    return scale


class EventSettings(Section):
    """Limits of an event."""

    max_bytes: int = Field(16_384, ge=1)
    max_age_days: int = Field(7, ge=1, le=36_500)
    max_future_minutes: int = Field(5, ge=0)
    session_gap_minutes: int = Field(30, ge=1)
    placeholder_ids: list[str] = Field(default_factory=lambda: [*PLACEHOLDER_IDS])
    rating_scale: Annotated[list[float], AfterValidator(_rising)] = Field(default_factory=lambda: [1.0, 5.0])

    @property
    def placeholders(self) -> frozenset[str]:
        """Ids that stand for no shopper and no item, in lower case."""
        return frozenset(text.lower() for text in self.placeholder_ids)

    @property
    def session_gap_ms(self) -> int:
        """Idle time after which a session without an id ends."""
        return self.session_gap_minutes * 60_000

    @property
    def rating_middle(self) -> float:
        """Below it a rating counts against the item."""
        return sum(self.rating_scale) / 2


class ListSettings(Section):
    """The form of a list."""

    size: int = Field(20, ge=1)
    rank_by: Literal["score", "value"] = "score"
    ttl_hours: float = Field(24, gt=0, le=720)
    max_per_category: int = Field(0, ge=0)
    max_per_brand: int = Field(0, ge=0)
    diversity: float = Field(0.0, ge=0, le=1)
    hide_bought: bool = True
    hide_in_basket: bool = True
    fatigue_after: int = Field(5, ge=0)
    catalogue_coverage: float = Field(0.5, ge=0, le=1)


class DemandSettings(Section):
    """The counts of what shoppers ask for. `currency`: of the prices that count as revenue; empty: any."""

    enabled: bool = False
    half_life_hours: float = Field(24, ge=0.1, le=72)  # the topic keeps a record for 31 days
    recent_half_life_minutes: float = Field(5, gt=0, le=24 * 60)
    every_s: float = Field(5, gt=0, le=600)
    currency: str = Field("", pattern="^([A-Z]{3})?$")

    @model_validator(mode="after")
    def _recent_is_shorter(self) -> "DemandSettings":
        if self.recent_half_life_minutes > self.half_life_hours * 60:
            raise ValueError("demand.recent_half_life_minutes at most demand.half_life_hours expected")
        return self


class FeedbackSettings(Section):
    """The join of impressions with outcomes. Windows may be fractions of a minute."""

    enabled: bool = False
    click_minutes: float = Field(30, gt=0, le=7 * 24 * 60)
    purchase_minutes: float = Field(1440, gt=0, le=30 * 24 * 60)

    @model_validator(mode="after")
    def _purchases_wait_longer(self) -> "FeedbackSettings":
        if self.purchase_minutes < self.click_minutes:
            raise ValueError("feedback.purchase_minutes at least as long as feedback.click_minutes expected")
        return self


class ExperimentSettings(Section):
    """The running experiment: arms and the share of users of each."""

    name: str = ""
    arms: dict[str, float] = Field(default_factory=dict)
