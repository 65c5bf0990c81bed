"""Settings of events, lists, demand, exploration, search, feedback, experiments and the model gate."""

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from operators.configuration.settings_section import Section
from operators.errors import SettingsError

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


class SearchSettings(Section):
    """Search. `synonyms`: a file; `encoder`: a folder that `liveshelf search encoder` made. Empty: none."""

    synonyms: str = ""
    encoder: str = ""

    def synonyms_file(self, resolve: Callable[[str], Path]) -> Path | None:
        """The file; None without one. `resolve`: of `Settings`."""
        return resolve(self.synonyms) if self.synonyms else None

    def encoder_folder(self, resolve: Callable[[str], Path]) -> Path | None:
        """The folder; None without one. `resolve`: of `Settings`."""
        return resolve(self.encoder) if self.encoder else None


class ExplorationSettings(Section):
    """Items with few impressions on some places of the lists, and products that the model does not know."""

    enabled: bool = False
    share: float = Field(0.05, gt=0, le=1)
    few_impressions: int = Field(200, ge=1)
    first_position: int = Field(3, ge=1)
    newcomer_share: float = Field(0.5, ge=0, le=1)

    def refuse_without(self, demand: DemandSettings, lists: ListSettings) -> None:
        """Raises `SettingsError` where exploration is on and the other settings leave it no counts or no place."""
        if not self.enabled:
            return
        if not demand.enabled:
            raise SettingsError(
                "demand.enabled = true beside exploration.enabled = true",
                "demand.enabled = false",
                "set demand.enabled: exploration reads impressions and clicks from its counts",
            )
        if self.first_position > lists.size:
            raise SettingsError(
                f"exploration.first_position of 1 to {lists.size}, the size of a list",
                f"{self.first_position}",
                "lower exploration.first_position, or raise lists.size",
            )
        if self.share * lists.size > 1 + 1e-9:
            raise SettingsError(
                f"exploration.share of at most {1 / lists.size:g}: one place of a list of {lists.size}",
                f"{self.share:g}",
                "lower exploration.share: a list has at most one place that explores",
            )


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
    """An experiment for as long as the job runs: arms and the share of users of each. `hold_out`: the share of all users
    that is in no experiment, this one or another."""

    name: str = ""
    arms: dict[str, float] = Field(default_factory=dict)
    hold_out: float = Field(0.0, ge=0, lt=1)


class GateLimits(Section):
    """What a candidate bundle must keep to become champion. Quality limits are shares of the champion's value;
    `always_allowed_loss` is absolute."""

    min_questions: int = Field(500, ge=1)
    min_users: int = Field(50, ge=2)
    max_quality_loss: float = Field(0.03, ge=0, le=1)
    max_forgetting: float = Field(0.1, ge=0, le=1)
    always_allowed_loss: float = Field(0.005, ge=0, le=1)
    min_coverage: float = Field(0.7, ge=0, le=1)
    min_overlap: float = Field(0.2, ge=0, le=1)
    max_score_psi: float = Field(1.0, gt=0)
    max_calibration_error: float = Field(0.05, gt=0, le=1)
    max_slower: float = Field(2.0, ge=1)
    max_batch_ms: float = Field(100, gt=0)
    max_mb: float = Field(1000, gt=0)
