"""What serves where nothing rolls out: the bundle that the trainer promoted last."""

from pathlib import Path


class LatestBundle:
    """A `Serving` of `model_export.follow.follower`."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of the bundle that serves first."""
        self._folder = folder

    def champion(self) -> Path:
        """As `Serving`."""
        return self._folder

    def promote(self, folder: Path, reason: str) -> None:
        """As `Serving`."""
        self._folder = folder

    def held(self, now_ms: int) -> None:
        """As `Serving`."""

    def retire(self, folder: Path) -> None:
        """As `Serving`."""
