"""The trainer's loop: read, make a candidate at the cadences, ask the gate, promote or refuse."""

import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from model_export.follow.candidate import Candidate, GateWindows, Kind, Round, RoundOptions
from model_export.follow.history import History
from model_export.follow.offers import Offers
from model_export.follow.stored_records import TopicRecord
from operators.errors import EventsFileError
from operators.model.bundle_files import read_manifest, weights_trained_s
from operators.model.model_bundle import ModelBundle

CANDIDATE, REFUSED = "candidate", "refused-"
KEPT = 3  # bundles of either kind, accepted and refused


Portion = tuple[Sequence[TopicRecord], dict[str, dict[int, int]]]  # records, and the next offsets of their partitions


class Verdict(Protocol):
    """What a gate says. `lines`: for people; of a refusal the first one is the reason."""

    @property
    def passed(self) -> bool:
        """Whether the candidate may serve."""

    @property
    def lines(self) -> list[str]:
        """What was compared."""


Gate = Callable[[Path, Path, GateWindows], Verdict]  # candidate, champion


class Topics(Protocol):
    """The topics that a trainer follows."""

    @property
    def lost(self) -> Mapping[str, int]:
        """Records that left a topic before they were read, by topic."""

    def ids(self) -> Mapping[str, str]:
        """Topic -> the id that the broker gave it when it was created; without those of which the broker knows none."""

    def read(self, offsets: Mapping[str, Mapping[int, int]]) -> Iterable[Portion]:
        """What came from these offsets on, up to the present ends: erasures first, then all others."""

    def changed_offers(self) -> Iterable[TopicRecord]:
        """The records of the catalogue since the last call; the first call gives all."""


class Serving(Protocol):
    """The bundles that serve."""

    def champion(self) -> Path:
        """The folder of the champion."""

    def promote(self, folder: Path, reason: str) -> None:
        """Makes a bundle champion in place of the one that `champion` gave last, whole or not at all."""

    def held(self, now_ms: int) -> str | None:
        """Why no candidate may be promoted now (epoch ms), whatever the gate says; None: one may be."""

    def retire(self, folder: Path) -> None:
        """A bundle of this trainer that was promoted long ago may go, unless it serves."""


@dataclass(frozen=True)
class Outcome:
    """What became of a round. `candidate` is None where there was too little to learn; `lines`: of the gate. `held`: it
    passed, and is not promoted because of the first line."""

    kind: Kind
    candidate: Candidate | None
    passed: bool
    lines: list[str]
    seconds: float
    held: bool = False

    @property
    def verdict(self) -> str:
        """`waited`, `promoted`, `held` or `refused`."""
        if self.candidate is None:
            return "waited"
        return "promoted" if self.passed else "held" if self.held else "refused"


class Follower:
    """Not for concurrent use. It may be killed at any point: whatever is on disk says how to go on."""

    def __init__(
        self,
        work: Path,
        history: History,
        topics: Topics,
        serving: Serving,
        gate: Gate,
        options: RoundOptions,
    ) -> None:
        """`work`: the folder of its bundles."""
        self._work, self._history, self._topics = work, history, topics
        self._serving, self._gate, self._options = serving, gate, options
        self._offers = Offers(options.limits.placeholders)
        self._seen: dict[Kind, Path] = {}  # the champion after the last round of a kind, if nothing came since

    def trained_s(self) -> float | None:
        """When the champion's last round of weights was, epoch s; None if it had none."""
        trained_ms = read_manifest(self._serving.champion()).get("trained_at")
        return None if trained_ms is None else float(trained_ms) / 1000

    def weights_s(self) -> float:
        """When the champion's weights were trained, epoch s; 0 if its manifest does not say."""
        return weights_trained_s(read_manifest(self._serving.champion()))

    @property
    def lost(self) -> Mapping[str, int]:
        """As `Topics`."""
        return self._topics.lost

    def read(self) -> None:
        """Takes what the topics have."""
        count = self._offers.take(self._topics.changed_offers())
        self._history.follow(self._topics.ids())
        for records, offsets in self._topics.read(self._history.offsets):
            self._history.take(records, offsets)
            count += len(records)
        if count:
            self._seen.clear()

    def round(self, kind: Kind, now_ms: int) -> Outcome:
        """One round, from the champion that serves now. Raises `BundleError` if that one cannot be trained further."""
        started = time.monotonic()
        champion = self._serving.champion()
        if self._seen.get(kind) == champion:
            return Outcome(kind, None, False, ["nothing came since the last round"], 0.0)
        self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            coming = Round(ModelBundle.load(champion), self._history, self._offers, self._options, now_ms, kind)
        except EventsFileError as error:
            return Outcome(kind, None, False, [str(error)], time.monotonic() - started)
        if coming.lacks:
            return Outcome(kind, None, False, [coming.lacks], time.monotonic() - started)
        candidate = coming.make(self._work / CANDIDATE)
        verdict = self._gate(candidate.folder, champion, candidate.windows)
        version, lines = str(candidate.manifest["version"]), verdict.lines
        held = self._serving.held(now_ms) if verdict.passed else None
        if held is not None:
            lines = [held, *lines]
        passed = verdict.passed and held is None
        if passed:
            accepted = self._moved(candidate.folder, version)
            self._serving.promote(accepted, f"{kind} round: {'; '.join(lines)}")
        else:
            refused = self._moved(candidate.folder, REFUSED + version)
            _reason_of(refused).write_text("\n".join(lines) + "\n")
        self._remove_old()
        champion = self._serving.champion()
        self._seen |= {"light": champion, kind: champion}
        return Outcome(kind, candidate, passed, lines, time.monotonic() - started, held is not None)

    def _moved(self, folder: Path, name: str) -> Path:
        target = self._work / name
        shutil.rmtree(target, ignore_errors=True)
        return folder.rename(target)

    def _remove_old(self) -> None:
        bundles = sorted(entry for entry in self._work.iterdir() if entry.is_dir() and entry.name != CANDIDATE)
        for refused in (False, True):
            of_kind = [entry for entry in bundles if entry.name.startswith(REFUSED) == refused]
            for folder in of_kind[:-KEPT]:
                if not refused:
                    self._serving.retire(folder)
                shutil.rmtree(folder)
                _reason_of(folder).unlink(missing_ok=True)


def _reason_of(refused: Path) -> Path:
    """The file beside a refused bundle that holds the gate's lines."""
    return refused.with_name(f"{refused.name}.txt")
