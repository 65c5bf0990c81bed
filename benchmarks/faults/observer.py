"""What a reader of the lists sees while faults happen, and what the cluster says of the job."""

import itertools
import threading
import time
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from operators.contracts import RecommendationList
from operators.errors import LiveshelfError
from operators.refresh_logic import DIGEST_HEADER
from operators.settings import Settings
from pipelines.cluster import Cluster
from pipelines.list_reader import consumer_at_end

_decode = msgspec.json.Decoder(RecommendationList).decode


@dataclass
class Newest:
    """The newest list of a user as a reader keeps it."""

    version: int
    source: str
    digest: str | None
    items: list[tuple[str, float]]


@dataclass
class Seen:
    """All that was read of one load's users, whose names begin with `tag`."""

    tag: bytes
    # a soak has ten million lists: numbers side by side, in the order of their arrival
    arrivals: "array[float]" = field(default_factory=lambda: array("d"))  # monotonic s
    freshness: "array[float]" = field(default_factory=lambda: array("d"))  # s
    newest: dict[str, Newest] = field(default_factory=dict)
    written: Counter[tuple[str, int, bool]] = field(default_factory=Counter)  # user, version, by the model
    last_version: dict[str, int] = field(default_factory=dict)
    fell: int = 0

    def take(self, record: Any, now: float, now_ms: float) -> None:
        """One record of the output topic."""
        if not record.key.startswith(self.tag) or record.value is None:
            return
        made = _decode(record.value)
        self.arrivals.append(now)
        self.freshness.append((now_ms - made.event_time) / 1000)
        self.written[made.user_id, made.version, made.source == "model"] += 1
        self.fell += made.version < self.last_version.get(made.user_id, 0)
        self.last_version[made.user_id] = made.version
        known = self.newest.get(made.user_id)
        if known is None or made.version >= known.version:
            digest = dict(record.headers).get(DIGEST_HEADER)
            items = [(item.item_id, item.score) for item in made.items]
            self.newest[made.user_id] = Newest(made.version, made.source, digest and digest.decode(), items)

    def percentile(self, share: float, start: float, end: float) -> float:
        """Freshness in s of the lists that came in [start, end); infinite when none did."""
        found = sorted(self.freshness[bisect_left(self.arrivals, start) : bisect_left(self.arrivals, end)])
        return found[min(len(found) - 1, int(share * len(found)))] if found else float("inf")

    def silence(self, start: float, end: float) -> float:
        """The longest time without any list inside [start, end]."""
        inside = self.arrivals[bisect_left(self.arrivals, start) : bisect_right(self.arrivals, end)]
        return max(b - a for a, b in itertools.pairwise((start, *inside, end)))

    def fresh_again(self, start: float, end: float, limit_s: float, window_s: float = 1.0) -> float | None:
        """The first moment from which the p95 of each window until `end` is within `limit_s`; None if never."""
        moment, last_bad = start, None
        while moment + window_s <= end:
            if self.percentile(0.95, moment, moment + window_s) > limit_s:
                last_bad = moment + window_s
            moment += window_s / 4
        if last_bad is None:
            return start
        return last_bad if last_bad < end - window_s else None


class ListWatcher:
    """Follows the output topic in a thread."""

    def __init__(self, settings: Settings, tag: str) -> None:
        self.seen = Seen(tag.encode())
        self._consumer = consumer_at_end(settings.kafka)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lists", daemon=True)
        self._thread.start()

    def stop(self) -> Seen:
        """Ends and returns what was seen."""
        self._stop.set()
        self._thread.join(30)
        self._consumer.close()
        return self.seen

    def _run(self) -> None:
        while not self._stop.is_set():
            for records in self._consumer.poll(timeout_ms=20).values():
                now, now_ms = time.monotonic(), time.time() * 1000
                for record in records:
                    self.seen.take(record, now, now_ms)


class JobWatcher:
    """Asks the cluster five times a second whether all tasks run."""

    def __init__(self, settings: Settings) -> None:
        self.down: list[tuple[float, float]] = []  # monotonic s: from, to
        self.unreachable_s = 0.0
        self._cluster, self._name = Cluster(settings.job), settings.job.name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job", daemon=True)
        self._thread.start()

    def stop(self) -> "JobWatcher":
        """Ends."""
        self._stop.set()
        self._thread.join(15)
        self._cluster.close()
        return self

    @property
    def restarts(self) -> int:
        """How often not all tasks ran."""
        return len(self.down)

    @property
    def restart_s(self) -> float:
        """Flink's own part: from the first task that did not run to all tasks running, summed."""
        return sum(end - start for start, end in self.down)

    def _run(self) -> None:
        since: float | None = None
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                runs = any(self._cluster.running_tasks(job["jid"]) for job in self._cluster.jobs(self._name))
            except LiveshelfError:
                runs = False
            now = time.monotonic()
            if not runs and since is None:
                since = begun
            elif runs and since is not None:
                self.down.append((since, now))
                since = None
            self._stop.wait(0.2)
        if since is not None:
            self.down.append((since, time.monotonic()))
