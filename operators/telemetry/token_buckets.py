"""A rate limit for each key: token buckets in a memory of fixed size."""

import time
from collections.abc import Callable

MAX_KEYS = 65_536


class TokenBuckets:
    """A bucket of `burst` tokens for each key, refilled at `rate_per_s`; not for several threads.

    A bucket is one number, the time at which it is full again (the generic cell rate algorithm, ITU-T I.371). Above
    `held` buckets the least recently used one is dropped, so that invented keys cost no memory. A dropped key starts with a
    full bucket.
    """

    def __init__(
        self,
        rate_per_s: float,
        burst: float,
        clock_s: Callable[[], float] = time.monotonic,
        held: int = MAX_KEYS,
    ) -> None:
        self._interval_s = 1 / rate_per_s
        self._burst_s = (max(burst, 1) - 1) * self._interval_s
        self._clock_s, self._held = clock_s, held
        self._full_at: dict[str, float] = {}

    def wait_s(self, key: str) -> float:
        """0.0 and one token less, or the seconds until there is one."""
        now = self._clock_s()
        full_at = max(self._full_at.pop(key, now), now)
        wait = full_at - now - self._burst_s
        self._full_at[key] = full_at if wait > 0 else full_at + self._interval_s
        if len(self._full_at) > self._held:
            del self._full_at[next(iter(self._full_at))]
        return max(0.0, wait)

    def __len__(self) -> int:
        return len(self._full_at)
