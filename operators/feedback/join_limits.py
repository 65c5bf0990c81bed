"""How long the feedback join waits, and how much one user may have waiting."""

from typing import NamedTuple

from operators.configuration.shop_settings import FeedbackSettings
from operators.time_units import DAY_MS, HOUR_MS

_MINUTE_MS = 60_000
LONGEST_JOINED = 1000  # items of a list: `Limits.size` holds all that may wait
CLOSED_DAYS = 7  # so long the hashes of closed lists stay without a new event, as far as `Limits.closed` lets them


class Windows(NamedTuple):
    """How long the join waits, ms. `unseen_ms`: how long a list without an impression stays."""

    click_ms: int
    purchase_ms: int
    unseen_ms: int

    @classmethod
    def of(cls, settings: FeedbackSettings, list_ttl_hours: float) -> "Windows":
        """The windows; `list_ttl_hours`: how long a list may be shown (`lists.ttl_hours`)."""
        click_ms, purchase_ms = (
            max(1, round(minutes * _MINUTE_MS)) for minutes in (settings.click_minutes, settings.purchase_minutes)
        )
        return cls(click_ms, purchase_ms, round(list_ttl_hours * HOUR_MS))

    @property
    def time_to_live_ms(self) -> int:
        """How long a user's state must stay after its last change: on an idle partition the purchase window closes after
        twice its length, and the hash of a closed list keeps a late outcome from making a second example."""
        return 2 * self.purchase_ms + self.unseen_ms + CLOSED_DAYS * DAY_MS


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
