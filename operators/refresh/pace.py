"""How fast requests come and how long a user takes to score: what a micro-batcher waits for, and how many it takes.

Only while requests stream in is it worth while to let a handful gather: a micro-batch of one costs nearly as much as one of
ten, and where the cores are busy that makes everyone wait longer (docs/notebook/throughput.md). And a micro-batch must be done well
before its users' deadline: with a million items a hundred users take half a second.
"""

HANDFUL = 32
GATHER_S = 0.005
STREAM_S = 0.0007  # requests that come closer together than this, on average over the last `MEMORY`, are a stream
MEMORY = 32
QUIET_S = 0.01  # no request for so long: there is no stream any more
AVERAGED_BATCHES = 8  # for the scoring time of a user
DEADLINE_SHARE = 0.25  # of the deadline that a micro-batch may take


class BatchPace:
    """Of one micro-batcher, which holds its lock around every call. Times in seconds, monotonic."""

    def __init__(self, max_batch: int, deadline_s: float) -> None:
        self._max_batch, self._deadline_s = max_batch, deadline_s
        self._last = float("-inf")  # when the newest request came
        self._gap_s = 1.0  # between two requests, on average
        self._user_s = 0.0  # of scoring, on average

    def asked(self, now: float) -> None:
        """A request has come."""
        gap = min(now - self._last, 1.0)
        self._gap_s = gap if gap > QUIET_S else self._gap_s + (gap - self._gap_s) / MEMORY
        self._last = now

    def streams(self, now: float) -> bool:
        """Whether requests follow each other closely."""
        return self._gap_s < STREAM_S and now - self._last <= QUIET_S

    def scored(self, users: int, seconds: float) -> None:
        """A micro-batch was scored. One that hung counts as one at its deadline."""
        self._user_s += (min(seconds, self._deadline_s) / users - self._user_s) / AVERAGED_BATCHES

    @property
    def room(self) -> int:
        """Users that a micro-batch may hold."""
        if self._user_s * self._max_batch <= DEADLINE_SHARE * self._deadline_s:
            return self._max_batch
        return max(1, int(DEADLINE_SHARE * self._deadline_s / self._user_s))
