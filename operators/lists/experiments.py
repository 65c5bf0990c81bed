"""The arm of a user in the running experiment: fixed for a user, by a keyed hash of the user id."""

import hmac

from operators.configuration.shop_settings import ExperimentSettings
from operators.errors import SettingsError
from operators.records.contracts import Experiment

NO_ARM = "all"  # the label of metrics while no experiment runs
_SPAN = 1 << 64


class Experiments:
    """Arms by HMAC-SHA256 of the user id with the experiment's name as the key: a new name draws new arms."""

    def __init__(self, settings: ExperimentSettings) -> None:
        """Raises `SettingsError` where the arms' shares do not add up to 1."""
        self.shares = dict(settings.arms) if settings.name else {}
        if self.shares and (abs(sum(self.shares.values()) - 1) > 1e-6 or min(self.shares.values()) < 0):
            raise SettingsError(
                "shares of experiment.arms that add up to 1", str(self.shares), "correct liveshelf.toml"
            )
        self._key = settings.name.encode()
        self._name = settings.name

    @property
    def labels(self) -> list[str]:
        """All values of `label`."""
        return [*self.shares] or [NO_ARM]

    def of(self, user_id: str) -> Experiment | None:
        """The user's arm; None while no experiment runs."""
        if not self.shares:
            return None
        drawn = int.from_bytes(hmac.digest(self._key, user_id.encode(), "sha256")[:8], "big") / _SPAN
        for arm, share in self.shares.items():
            drawn -= share
            if drawn < 0:
                return Experiment(self._name, arm)
        return Experiment(self._name, next(reversed(self.shares)))  # rounding of the last share

    def label(self, user_id: str) -> str:
        """The arm as a metric's label."""
        experiment = self.of(user_id)
        return NO_ARM if experiment is None else experiment.arm
