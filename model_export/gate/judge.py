"""Judges a candidate: runs all checks and gathers their lines. Needs no torch: it scores with the bundles' own graphs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_export.evaluation.served import Served
from model_export.gate.answers import Answers, answers, answers_line
from model_export.gate.calibration import calibration_line
from model_export.gate.latency import batch_times, latency_line, size_line, slower_line
from model_export.gate.list_lines import coverage_line, overlap_line, score_drift, shared_items
from model_export.gate.quality import AllowedLoss, popularity_line, proven_better, quality_lines
from model_export.gate.questions import Questions, read_questions, window_line
from model_export.gate.report import Distributions, GateReport, Line, Subject, as_warnings, judged, refused
from model_export.measures.training_log import Log
from operators.configuration.shop_settings import EventSettings, GateLimits
from operators.errors import BundleError, LiveshelfError
from operators.model.bundle_files import FIX, MANIFEST, file_hash, read_manifest
from operators.model.model_bundle import ModelBundle

SEED = 7
DEFAULTS = EventSettings()
FORGETTING = "forgetting: "
NO_CHAMPION = "no champion: absolute checks only"


@dataclass(frozen=True)
class Side:
    """A bundle and its answers to the questions of each window, the newest first."""

    bundle: ModelBundle
    answers: list[Answers]

    @classmethod
    def of(cls, served: Served, asked: list[Questions]) -> "Side":
        """Raises `BundleError` where the graph raises."""
        return cls(served.bundle, [answers(served, questions) for questions in asked])


def judge(
    candidate: Path,
    champion: Path | None,
    events: Path,
    limits: GateLimits,
    *,
    old_events: Path | None = None,
    old_ids: Collection[str] | None = None,
    test_from: int | None = None,
    clicks_from: int | None = None,
    event_limits: EventSettings = DEFAULTS,
    public_keys: Sequence[str] = (),
    seed: int = SEED,
    log: Log = lambda _: None,
) -> GateReport:
    """Judges the bundle `candidate` by the newest of `events`, and against forgetting by all of `old_events`, or those with
    `old_ids`; the others are history then. `p_click` is judged from `clicks_from` on (epoch ms; default: where the newest begin).

    The newest begin at `test_from` (epoch ms; default: where the later of the two trainings ended). Earlier events are the
    shoppers' history. With `public_keys` one of them must have signed each bundle. Two runs on the same files with the same `seed` differ in the lines `latency` and `slower` alone.

    Raises `BundleError` where the champion fails and `EventsFileError`. A defect of the candidate is a line that failed.
    """
    if champion is None and old_events is not None:
        raise LiveshelfError("a champion to compare with on the old window", "none", "name it with --champion")
    theirs = None if champion is None else Served(ModelBundle.load(champion, public_keys))
    seen_until_ms = 0 if theirs is None else _training_end(theirs.bundle)
    try:
        ours = Served(ModelBundle.load(candidate, public_keys))
        seen_until_ms = max(seen_until_ms, _training_end(ours.bundle))
    except BundleError as error:
        return _report(candidate, theirs, [refused("bundle", error)], [], seed)
    served = [ours] if theirs is None else [ours, theirs]
    newest_ms = seen_until_ms if test_from is None else test_from
    known = [one.bundle.vocabulary for one in served]
    asked = [read_questions(events, known, newest_ms, event_limits, seed, log)]
    if old_events is not None:
        asked.append(read_questions(old_events, known, 0, event_limits, seed, log, old_ids))
    lines = [_bundle_line(ours.bundle), window_line(asked[0].window, limits)]
    try:
        side = Side.of(ours, asked)
    except BundleError as error:
        return _report(candidate, theirs, [*lines, refused("answers", error)], asked, seed)
    sides = [side, *(Side.of(champion_served, asked) for champion_served in served[1:])]
    times_ms = batch_times(served, [one.answers[0].features for one in sides])
    lines += _lines_alone(side, asked[0], times_ms[0], limits, seed)
    clicks_ms = newest_ms if clicks_from is None else clicks_from
    lines.append(calibration_line(ours, theirs, events, clicks_ms, limits, event_limits, log))
    drawn = Distributions(candidate_ms=times_ms[0])
    if theirs is not None:
        compared, drawn = _lines_compared(sides, asked, times_ms, limits, seed)
        lines += compared
    return _report(candidate, theirs, lines, asked, seed, drawn)


def _bundle_line(bundle: ModelBundle) -> Line:
    expected = "a bundle whose signature, hashes, shapes and golden scores are right"
    return judged("bundle", True, expected, f"{bundle.name} {bundle.version}", "")


def _lines_alone(ours: Side, newest: Questions, times_ms: list[float], limits: GateLimits, seed: int) -> list[Line]:
    """The lines that need no champion."""
    return [
        answers_line(ours.answers),
        popularity_line(ours.answers[0].rank, ours.bundle, newest, seed),
        latency_line(times_ms, limits),
        size_line(ours.bundle, limits),
    ]


def _lines_compared(
    sides: list[Side], asked: list[Questions], times_ms: list[list[float]], limits: GateLimits, seed: int
) -> tuple[list[Line], Distributions]:
    """The lines against the champion, and what the page draws of them.

    A candidate that is proven better on the newest window is of a world that changed. Its lists, its scores and the old
    window then only warn: else the champion that the world has left would stay for ever. It must still find more on the
    old window than the champion's popular list.
    """
    words, ((ours, theirs), *old) = asked[0].words, zip(*(side.answers for side in sides), strict=True)
    lists, champion_lists = (side.answers[0].lists(side.bundle.vocabulary, words) for side in sides)
    shared, size = shared_items(lists, champion_lists), max(lists.shape[1], champion_lists.shape[1])
    drift, shares = score_drift(ours, theirs, limits)
    proven = not _is_small_step(*(side.bundle for side in sides))
    allowed = AllowedLoss(limits.max_quality_loss, limits.always_allowed_loss, proven)
    quality = quality_lines(ours.rank, theirs.rank, asked[0], allowed, seed)
    compared = [coverage_line(lists, champion_lists, len(words), limits), overlap_line(shared, size, limits), drift]
    better = proven_better(quality)
    lines = [*quality, *(as_warnings(compared) if better else compared), slower_line(times_ms[0], times_ms[1], limits)]
    for (ours, theirs), questions in zip(old, asked[1:], strict=True):
        loss = AllowedLoss(limits.max_forgetting, limits.always_allowed_loss, proven)
        kept = quality_lines(ours.rank, theirs.rank, questions, loss, seed, FORGETTING)
        if better and not all(line.passed for line in kept):
            floor = popularity_line(ours.rank, sides[1].bundle, questions, seed, FORGETTING)
            kept = [*as_warnings(kept), floor]
        lines += kept
    overlap = [int((shared == count).sum()) for count in range(size + 1)]
    return lines, Distributions(overlap, shares, *times_ms)


def _is_small_step(candidate: ModelBundle, champion: ModelBundle) -> bool:
    """Whether the candidate has the champion's weights: it comes from a light round of the trainer."""
    made = candidate.manifest.get("round", {})
    return made.get("kind") == "light" and candidate.manifest.get("made_from") == champion.version


def _training_end(bundle: ModelBundle) -> int:
    """Epoch ms up to which the bundle learned from events; 0 where its manifest names none. Raises `BundleError`."""
    match bundle.manifest.get("trained_on"):
        case None | {"sessions": _}:
            return 0
        case {"to_ms": int(to_ms)}:
            return to_ms
        case other:
            raise BundleError(f"trained_on with to_ms in {MANIFEST}", repr(other)[:100], FIX)


def _report(
    candidate: Path,
    theirs: Served | None,
    lines: list[Line],
    asked: list[Questions],
    seed: int,
    drawn: Distributions | None = None,
) -> GateReport:
    return GateReport(
        candidate=_subject(candidate),
        champion=None if theirs is None else _subject(theirs.bundle.folder),
        passed=all(line.passed or line.warning for line in lines),
        lines=lines,
        remarks=[NO_CHAMPION] if theirs is None else [],
        seed=seed,
        windows=[questions.window for questions in asked],
        distributions=drawn or Distributions(),
    )


def _subject(folder: Path) -> Subject:
    """Also of a folder that is no bundle."""
    try:
        manifest = read_manifest(folder)
    except BundleError:
        return Subject(folder.name, "")
    return Subject(f"{manifest['name']} {manifest['version']}", file_hash(folder / MANIFEST))
