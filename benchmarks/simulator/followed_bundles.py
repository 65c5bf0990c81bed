"""The trainer in a dry run: its own rounds and its own gate on what the simulated shoppers do, without broker and clock."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.models.latest_bundle import LatestBundle
from benchmarks.simulator.bundle_lists import BundleLists, ShopperStates
from benchmarks.simulator.crowd import Slate
from benchmarks.simulator.drift import Rows
from benchmarks.simulator.world import World
from model_export.follow.candidate import Kind, RoundOptions
from model_export.follow.follower import Follower, Outcome, Portion
from model_export.follow.following import Cadences, line_of
from model_export.follow.history import History
from model_export.follow.learned import WindowSize
from model_export.follow.window_files import JudgeGate
from operators.errors import LiveshelfError
from operators.records.contracts import CATALOGUE, EVENTS, CatalogueItem, Event, encode_record
from operators.settings import Settings

TAKES_S = 12.0  # from the start of a round until its bundle serves


class Record(NamedTuple):
    """As `TopicRecord`."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    timestamp: int


class Log:
    """What the shoppers did and what the shop offers, as topics of one partition each."""

    def __init__(self) -> None:
        self._events: list[Record] = []
        self._offers: list[Record] = []

    def add(self, event: Event) -> None:
        """The next event."""
        key, at = event.user_id.encode(), int(event.event_time)
        self._events.append(Record(EVENTS, 0, len(self._events), key, encode_record(event), at))

    def offer(self, items: Iterator[CatalogueItem], now_ms: int) -> None:
        """Items that are on sale from now on (epoch ms)."""
        self._offers += [Record(CATALOGUE, 0, 0, item.item_id.encode(), encode_record(item), now_ms) for item in items]

    def ids(self) -> dict[str, str]:
        """As `Topics`."""
        return {}

    def read(self, offsets: Mapping[str, Mapping[int, int]]) -> Iterator[Portion]:
        """As `Topics`."""
        if new := self._events[offsets.get(EVENTS, {}).get(0, 0) :]:
            yield new, {EVENTS: {0: len(self._events)}}

    @property
    def lost(self) -> dict[str, int]:
        """As `Topics`."""
        return {}

    def changed_offers(self) -> Sequence[Record]:
        """As `Topics`."""
        offers, self._offers = self._offers, []
        return offers


class FollowedBundles:
    """A `Shelf` whose bundle is the trainer's newest. `tell` gets what became of each round."""

    def __init__(
        self,
        settings: Settings,
        world: World,
        first: Path,
        work: Path,
        start_ms: int,
        tell: Callable[[float, Outcome], None],
    ) -> None:
        """`first`: the bundle that serves at the start; `work`: a folder for the trainer's files. Cadences are those of the
        settings, in seconds of the run. Raises `BundleError`."""
        self._settings, self._world, self._start_ms = settings, world, start_ms
        self._tell = tell
        self.states, self.log, self._champion = ShopperStates(settings), Log(), LatestBundle(first)
        self._serving, self._serving_folder = BundleLists(first, settings, world), first
        self._serves_s = 0.0
        self._last = {"light": 0.0, "weights": 0.0}
        gate, trainer = settings.gate, settings.trainer
        self._cadences = Cadences(trainer.light_every_s, trainer.weights_every_s)
        options = RoundOptions(
            settings.events,
            trainer.replay_share,
            trainer.half_life_hours,
            least=WindowSize(gate.min_questions, gate.min_users),
        )
        work.mkdir(parents=True, exist_ok=True)
        self._history = History(work / "history", trainer.history_events, settings.events)
        judge = JudgeGate(gate, settings.events, work)
        self._follower = Follower(work / "bundles", self._history, self.log, self._champion, judge, options)
        self.log.offer(world.catalogue(world.present), start_ms)

    def newest(self, user: str) -> Slate | None:
        """As `Shelf`."""
        request = self.states.request(user)
        return None if request is None else self._serving.slates([request])[0]

    def on_tick(self, now_s: float, arrived: Rows) -> None:
        """Takes items that arrived, makes the round that is due, and lets a promoted bundle serve when its time has come."""
        if len(arrived):
            self.log.offer(self._world.catalogue(arrived), self._start_ms + round(now_s * 1000))
            self._serving.put_on_sale(arrived)
        champion = self._champion.champion()
        if champion != self._serving_folder and now_s >= self._serves_s:
            self._serving, self._serving_folder = BundleLists(champion, self._settings, self._world), champion
        if (kind := self._cadences.due(now_s, self._last["light"], self._last["weights"])) is not None:
            self._round(kind, now_s)

    def close(self) -> None:
        """Closes the history."""
        self._history.close()

    def _round(self, kind: Kind, now_s: float) -> None:
        self._last[kind] = now_s
        self._follower.read()
        if kind == "weights":  # as `run_rounds`
            self._one_round("light", now_s)
        self._one_round(kind, now_s)

    def _one_round(self, kind: Kind, now_s: float) -> None:
        try:
            outcome = self._follower.round(kind, self._start_ms + round(now_s * 1000))
        except LiveshelfError as error:
            outcome = Outcome(kind, None, False, [str(error)], 0.0)
        if outcome.passed:
            self._serves_s = now_s + TAKES_S
        self._tell(now_s, outcome)


def line_at(now_s: float, outcome: Outcome) -> None:
    """Prints what became of a round, on standard error."""
    print(f"{now_s:5.0f} s {line_of(outcome)}", file=sys.stderr, flush=True)
