"""Which bundle serves a user: fixed for a user, by a keyed hash of the user id, while the shares stay."""

from collections.abc import Sequence

from operators.experiments.draws import draw
from operators.rollout.rollout import Rollout

_SERVES, _SHADOW = b"liveshelf rollout", b"liveshelf shadow"


class Routing:
    """The places of users among the bundles of a rollout.

    A challenger holds the users whose draw lies below its share, the next one those after them; the champion all others. So a
    larger share keeps the users of a smaller one, and no user changes because a challenger behind theirs ends.
    """

    def __init__(self, rollout: Rollout) -> None:
        self._shares = [challenger.share for challenger in rollout.challengers]
        self._shadow_share = rollout.shadow_share if rollout.shadow is not None else 0.0

    def place_of(self, user_id: str) -> int:
        """The user's bundle, as its place in `Rollout.serving`; 0 is the champion."""
        if not self._shares:
            return 0
        drawn = draw(_SERVES, user_id)
        for place, share in enumerate(self._shares, start=1):
            drawn -= share
            if drawn < 0:
                return place
        return 0

    def split(self, user_ids: Sequence[str]) -> dict[int, list[int]]:
        """Place of a bundle -> numbers of its users in the batch; only places with users."""
        if not self._shares:
            return {0: [*range(len(user_ids))]} if user_ids else {}
        users: dict[int, list[int]] = {}
        for number, user in enumerate(user_ids):
            users.setdefault(self.place_of(user), []).append(number)
        return users

    def is_shadowed(self, user_id: str) -> bool:
        """Whether the shadow scores the user's requests."""
        return self._shadow_share > 0 and draw(_SHADOW, user_id) < self._shadow_share
