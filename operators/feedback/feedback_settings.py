"""Settings of the feedback join. They are not part of liveshelf.toml until the job carries the join."""

from typing import NamedTuple

from pydantic import Field, model_validator

from operators.configuration.settings_section import Section
from operators.time_units import HOUR_MS

_MINUTE_MS = 60_000


class Windows(NamedTuple):
    """How long the join waits, ms. `unseen_ms`: how long a list without an impression stays."""

    click_ms: int
    purchase_ms: int
    unseen_ms: int


class Limits(NamedTuple):
    """What one user may have waiting.

    `unseen`: lists without an impression or outcome; `lists` and `items`: the others, and the items of them all; `size`:
    bytes of all lists; `closed`: lists whose windows have closed, of which a hash stays.
    """

    unseen: int = 8
    lists: int = 32
    items: int = 1000
    size: int = 65_536
    closed: int = 64


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

    def windows(self, list_ttl_hours: float) -> Windows:
        """The windows; `list_ttl_hours`: how long a list may be shown (`lists.ttl_hours`)."""
        click_ms, purchase_ms = (
            max(1, round(minutes * _MINUTE_MS)) for minutes in (self.click_minutes, self.purchase_minutes)
        )
        return Windows(click_ms, purchase_ms, round(list_ttl_hours * HOUR_MS))
