"""Draws of users: numbers that look random and stay the same for a key and a user, and the arm at such a place."""

import hmac
from collections.abc import Mapping

from operators.errors import SettingsError


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
