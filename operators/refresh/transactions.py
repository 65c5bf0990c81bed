"""Exactly-once delivery: when the broker may have aborted the transaction of a list."""

from typing import NamedTuple


class Transactions(NamedTuple):
    """Of exactly-once delivery: a list can be read once the checkpoint after it has committed its transaction. If the
    job is down for longer than the transaction timeout, the broker aborts the transaction and the list is lost."""

    timeout_ms: int
    checkpoint_interval_ms: int

    @property
    def confirm_ms(self) -> int:
        """Time after which a written list should be committed. Its promise then checks whether it may be lost."""
        return 3 * self.checkpoint_interval_ms

    def gave_up(self, late_ms: int) -> bool:
        """Whether the broker may have aborted a transaction whose promise fires this late."""
        return late_ms + self.confirm_ms + self.checkpoint_interval_ms >= self.timeout_ms
