"""The rate of requests and the scoring time of a user: they decide how long a micro-batcher gathers and how many it takes.

Gathering a handful pays off only while requests stream in: a micro-batch of one costs nearly as much as one of
ten, and on busy cores that makes all users wait longer (docs/notebook/throughput.md). And a micro-batch must end well
before its users' deadline: with a million items a hundred users take half a second.
"""

HANDFUL = 32
GATHER_S = 0.005
STREAM_S = 0.0007  # requests that come closer together than this, on average over the last `MEMORY`, are a stream
MEMORY = 32
QUIET_S = 0.01  # a stream ends after this time without a request
AVERAGED_BATCHES = 8  # for the scoring time of a user
DEADLINE_SHARE = 0.25  # of the deadline that a micro-batch may take


class BatchPace:
    """Of one micro-batcher, which holds its lock around every call. Times in seconds, monotonic."""

    def __init__(self, max_batch: int, deadline_s: float) -> None:
        self._max_batch, self._deadline_s = max_batch, deadline_s
        self._last_request_s = float("-inf")  # time of the newest request
        self._mean_gap_s = 1.0  # between two requests, on average
        self._mean_user_s = 0.0  # of scoring, on average

    def on_requests(self, count: int, now: float) -> None:
        """Takes the time of requests that come together."""
        gap = min(now - self._last_request_s, 1.0)
        self._mean_gap_s = gap if gap > QUIET_S else self._mean_gap_s + (gap - self._mean_gap_s) / MEMORY
        self._mean_gap_s *= (1 - 1 / MEMORY) ** (count - 1)  # no time lies between the first and the others
        self._last_request_s = now

    def streams(self, now: float) -> bool:
        """Whether requests follow each other closely."""
        return self._mean_gap_s < STREAM_S and now - self._last_request_s <= QUIET_S

    def scored(self, users: int, seconds: float) -> None:
        """Takes the time of a micro-batch. A batch that hung counts as one at its deadline."""
        self._mean_user_s += (min(seconds, self._deadline_s) / users - self._mean_user_s) / AVERAGED_BATCHES

    def is_long(self, seconds: float) -> bool:
        """Whether a micro-batch that is scored for so long takes twice the time that any may take."""
        return seconds >= 2 * DEADLINE_SHARE * self._deadline_s

    @property
    def room(self) -> int:
        """Users that a micro-batch may hold."""
        if self._mean_user_s * self._max_batch <= DEADLINE_SHARE * self._deadline_s:
            return self._max_batch
        return max(1, int(DEADLINE_SHARE * self._deadline_s / self._mean_user_s))
