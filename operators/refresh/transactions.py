"""Exactly-once delivery: when a list may have been lost with its transaction."""

from typing import NamedTuple


class Transactions(NamedTuple):
    """Of exactly-once delivery: a list can be read once the checkpoint after it has committed its transaction. Where the
    job is down for longer than the broker keeps a transaction open, the broker gives it up and the list with it."""

    timeout_ms: int
    checkpoint_interval_ms: int

    @property
    def confirm_ms(self) -> int:
        """When a list that was written should have been committed: then its promise looks whether it may be lost."""
        return 3 * self.checkpoint_interval_ms

    def gave_up(self, late_ms: int) -> bool:
        """Whether the broker may have given up a transaction whose confirmation comes so late."""
        return late_ms + self.confirm_ms + self.checkpoint_interval_ms >= self.timeout_ms
