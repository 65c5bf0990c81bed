"""Shown and clicked items of the users of each bundle, from which click-through is compared."""

from collections.abc import Iterable

import numpy as np

from operators.experiments.statistics.moments import Moments

MOST_USERS = 50_000  # of the bundle with the most: 10 MB


class BundleClicks:
    """Of one bundle: the sums over its users, kept up to date."""

    def __init__(self) -> None:
        self._of_user: dict[str, tuple[int, int]] = {}  # shown, clicked
        self._shown = self._clicked = 0
        self._squares = [0, 0, 0]  # shown * shown, shown * clicked, clicked * clicked

    def __contains__(self, user: object) -> bool:
        return user in self._of_user

    def __len__(self) -> int:
        return len(self._of_user)

    def add(self, user: str, *, is_clicked: bool) -> None:
        """Counts an item that the user was shown."""
        shown, clicked = self._of_user.get(user, (0, 0))
        now_shown, now_clicked = shown + 1, clicked + is_clicked
        self._of_user[user] = now_shown, now_clicked
        self._shown += 1
        self._clicked += is_clicked
        self._squares[0] += now_shown**2 - shown**2
        self._squares[1] += now_shown * now_clicked - shown * clicked
        self._squares[2] += now_clicked**2 - clicked**2

    @property
    def moments(self) -> Moments:
        """Over the users."""
        sums = (len(self._of_user), self._shown, self._clicked, *self._squares)
        return Moments(*(np.asarray(value, dtype=np.float64) for value in sums))


class ClickCounts:
    """Of the bundles that serve. Once one of them has `MOST_USERS`, no bundle takes a user more: the users of all are those who
    came until then, and no newer ones who come less often."""

    def __init__(self, labels: Iterable[str] = ()) -> None:
        self._of_bundle = {label: BundleClicks() for label in labels}
        self._is_full = False

    def add(self, label: str, user: str, *, is_clicked: bool) -> None:
        """Counts an item that a user was shown. Bundles that do not serve count nothing."""
        clicks = self._of_bundle.get(label)
        if clicks is None or (self._is_full and user not in clicks):
            return
        clicks.add(user, is_clicked=is_clicked)
        self._is_full = self._is_full or len(clicks) >= MOST_USERS

    def moments(self, label: str) -> Moments | None:
        """Over the bundle's users; None for a bundle that does not serve."""
        clicks = self._of_bundle.get(label)
        return None if clicks is None else clicks.moments
