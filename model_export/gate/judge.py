"""Judges a candidate: runs all checks and gathers their lines. Needs no torch: it scores with the bundles' own graphs."""

from dataclasses import dataclass
from pathlib import Path

from model_export.evaluation.served import Served
from model_export.gate.answers import Answers, answers, answers_line
from model_export.gate.calibration import calibration_line
from model_export.gate.latency import batch_times, latency_line, size_line, slower_line
from model_export.gate.list_lines import coverage_line, overlap_line, score_drift, shared_items
from model_export.gate.quality import popularity_line, quality_lines
from model_export.gate.questions import Questions, read_questions, window_line
from model_export.gate.report import Distributions, GateReport, Line, Subject, judged, refused
from model_export.measures.training_log import Log
from operators.configuration.shop_settings import EventSettings, GateLimits
from operators.errors import BundleError, LiveshelfError
from operators.model.bundle_files import MANIFEST, file_hash, read_manifest
from operators.model.model_bundle import ModelBundle

SEED = 7
DEFAULTS = EventSettings()
NO_CHAMPION = "no champion: absolute checks only"


@dataclass(frozen=True)
class Side:
    """A bundle, its answers to the questions of each window (the newest first), and its CPU ms of each micro-batch."""

    bundle: ModelBundle
    answers: list[Answers]
    times_ms: list[float]


def judge(
    candidate: Path,
    champion: Path | None,
    events: Path,
    limits: GateLimits,
    *,
    old_events: Path | None = None,
    test_from: int | None = None,
    event_limits: EventSettings = DEFAULTS,
    seed: int = SEED,
    log: Log = lambda _: None,
) -> GateReport:
    """Judges the bundle `candidate` by the newest of `events`, and against forgetting by all of `old_events`.

    The newest begin at `test_from` (epoch ms; default: where the later of the two trainings ended). Earlier events are the
    shoppers' history. Two runs on the same files with the same `seed` differ in the lines `latency` and `slower` alone.

    Raises `BundleError` where the champion fails and `EventsFileError`. A defect of the candidate is a line that failed.
    """
    if champion is None and old_events is not None:
        raise LiveshelfError("a champion to compare with on the old window", "none", "name it with --champion")
    theirs = None if champion is None else Served(ModelBundle.load(champion))
    others = [] if theirs is None else [theirs]
    try:
        ours = Served(ModelBundle.load(candidate))
    except BundleError as error:
        return _report(candidate, theirs, [refused("bundle", error)], [], seed)
    known = [one.bundle.vocabulary for one in (ours, *others)]
    from_ms = _window_start([ours, *others]) if test_from is None else test_from
    windows = [(events, from_ms), *([] if old_events is None else [(old_events, 0)])]
    asked = [read_questions(file, known, start_ms, event_limits, seed, log) for file, start_ms in windows]
    lines = [_bundle_line(ours.bundle), window_line(asked[0].window, limits)]
    try:
        ours_answers = [answers(ours, questions) for questions in asked]
    except BundleError as error:
        return _report(candidate, theirs, [*lines, refused("answers", error)], asked, seed)
    all_answers = [ours_answers, *([answers(other, questions) for questions in asked] for other in others)]
    times_ms = batch_times([ours, *others], [given[0].features for given in all_answers])
    sides = [Side(*one) for one in zip([one.bundle for one in (ours, *others)], all_answers, times_ms, strict=True)]
    lines += _lines_alone(sides[0], asked, limits, seed)
    drawn = Distributions(candidate_ms=times_ms[0])
    if theirs is not None:
        compared, drawn = _lines_compared(sides[0], sides[1], asked, limits, seed)
        lines += compared
    return _report(candidate, theirs, lines, asked, seed, drawn)


def _bundle_line(bundle: ModelBundle) -> Line:
    expected = "a bundle whose hashes, shapes and golden scores are right"
    return judged("bundle", True, expected, f"{bundle.name} {bundle.version}", "")


def _lines_alone(ours: Side, asked: list[Questions], limits: GateLimits, seed: int) -> list[Line]:
    """The lines that need no champion."""
    return [
        answers_line(ours.answers),
        popularity_line(ours.answers[0].rank, ours.bundle, asked[0], seed),
        calibration_line(ours.bundle),
        latency_line(ours.times_ms, limits),
        size_line(ours.bundle, limits),
    ]


def _lines_compared(
    ours: Side, theirs: Side, asked: list[Questions], limits: GateLimits, seed: int
) -> tuple[list[Line], Distributions]:
    """The lines against the champion, and what the page draws of them."""
    words, (newest, *old) = asked[0].words, zip(ours.answers, theirs.answers, asked, strict=True)
    (our_answers, their_answers, questions) = newest
    lists, champion_lists = (side.answers[0].lists(side.bundle.vocabulary, words) for side in (ours, theirs))
    shared, size = shared_items(lists, champion_lists), max(lists.shape[1], champion_lists.shape[1])
    drift, shares = score_drift(our_answers, their_answers, limits)
    lines = [
        *quality_lines(our_answers.rank, their_answers.rank, questions, limits.max_quality_loss, seed),
        coverage_line(lists, champion_lists, len(words), limits),
        overlap_line(shared, size, limits),
        drift,
        slower_line(ours.times_ms, theirs.times_ms, limits),
    ]
    for our_old, their_old, old_questions in old:
        limit = limits.max_forgetting
        lines += quality_lines(our_old.rank, their_old.rank, old_questions, limit, seed, "forgetting: ")
    overlap = [int((shared == count).sum()) for count in range(size + 1)]
    return lines, Distributions(overlap, shares, ours.times_ms, theirs.times_ms)


def _window_start(served: list[Served]) -> int:
    """Where the later training on events ended, so that neither bundle has seen the answers; 0 where no manifest tells."""
    trainings = [one.bundle.manifest.get("trained_on", {}) for one in served]
    return max(int(training["to_ms"]) if "events" in training else 0 for training in trainings)


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
        passed=all(line.passed for line in lines),
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
