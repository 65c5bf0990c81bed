"""The arm of a user in the running experiment: fixed for a user, by a keyed hash of the user id."""

import hmac
from collections.abc import Mapping

from operators.configuration.shop_settings import ExperimentSettings
from operators.errors import SettingsError
from operators.records.contracts import Experiment

NO_ARM = "all"  # the label of metrics while no experiment runs


def draw(key: bytes, message: str) -> float:
    """A number from 0 to below 1 that looks random and is always the same for one key and message (HMAC-SHA256)."""
    # 53 bits are all that a float below 1 holds: 64 would round up to 1
    return (int.from_bytes(hmac.digest(key, message.encode(), "sha256")[:8], "big") >> 11) / (1 << 53)


def arm_at(place: float, shares: Mapping[str, float]) -> str:
    """The arm that holds `place` (0 to below 1) where the arms lie side by side in their order."""
    for arm, share in shares.items():
        place -= share
        if place < 0:
            return arm
    return [arm for arm, share in shares.items() if share > 0][-1]  # rounding of the last share


def check_shares(shares: Mapping[str, float], what: str, fix: str) -> None:
    """Raises `SettingsError` for a share that is negative, above 1 or NaN, and for a sum that is not 1."""
    if not (all(0 <= share <= 1 for share in shares.values()) and abs(sum(shares.values()) - 1) <= 1e-6):
        raise SettingsError(f"shares of {what} from 0 to 1 that add up to 1", str(dict(shares)), fix)


class Experiments:
    """Arms by HMAC-SHA256 of the user id with the experiment's name as the key: a new name draws new arms."""

    def __init__(self, settings: ExperimentSettings) -> None:
        """Raises `SettingsError` where the arms' shares do not add up to 1, and for a name without arms or arms without."""
        if bool(settings.name) != bool(settings.arms):
            raise SettingsError(
                "experiment.name and experiment.arms, both or none",
                f"name {settings.name!r} and arms {settings.arms}",
                "correct liveshelf.toml",
            )
        self.shares = dict(settings.arms)
        if self.shares:
            check_shares(self.shares, "experiment.arms", "correct liveshelf.toml")
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
        return Experiment(self._name, arm_at(draw(self._key, user_id), self.shares))

    def label(self, user_id: str) -> str:
        """The arm as a metric's label."""
        experiment = self.of(user_id)
        return NO_ARM if experiment is None else experiment.arm
