"""Each planted candidate is refused by the line that should refuse it, and by no other without need."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_export.gate.judge import NO_CHAMPION, judge
from model_export.gate.report import GateReport
from operators.configuration.shop_settings import GateLimits
from operators.errors import BundleError, EventsFileError, LiveshelfError
from operators.model.bundle_signature import new_key, sign_bundle
from tests.builders import NOW_MS, write_bundle, write_faulty_bundle, write_manifest
from tests.model_export.gate.shops import (
    ITEMS,
    busy,
    copied,
    same_for_all,
    shuffled,
    with_items,
    with_scores,
    write_walks,
)

QUALITY = {"hit@20", "MRR@20", "NDCG@20"}
PACE = {"latency", "slower"}


def failed(report: GateReport) -> set[str]:
    return {line.name for line in report.failed}


def why(report: GateReport, name: str) -> str:
    return next(line.why for line in report.lines if line.name == name)


def test_the_champion_passes_against_itself(champion: Path, walks: Path) -> None:
    report = judge(champion, champion, walks, GateLimits())
    assert report.passed and not report.failed
    assert {line.interval for line in report.lines if line.name in QUALITY} == {(0, 0)}
    assert "nothing was learned" in why(report, "overlap@20")
    assert "not served" in why(report, "calibration")


def test_two_runs_differ_in_pace_alone(champion: Path, walks: Path, tmp_path: Path) -> None:
    candidate = shuffled(champion, tmp_path / "candidate")
    first, second = (
        [line for line in judge(candidate, champion, walks, GateLimits()).lines if line.name not in PACE]
        for _ in range(2)
    )
    assert first == second
    other_seed = judge(candidate, champion, walks, GateLimits(), seed=8).lines
    assert [line.interval for line in other_seed if line.name in QUALITY] != [
        line.interval for line in first if line.name in QUALITY
    ]


def truncated(folder: Path) -> None:
    file = folder / "vectors.npy"
    file.write_bytes(file.read_bytes()[:-20])


def of_other_bytes(folder: Path) -> None:
    graph = bytearray((folder / "model.onnx").read_bytes())
    graph[-1] ^= 1
    (folder / "model.onnx").write_bytes(graph)


def of_another_shape(folder: Path) -> None:
    np.save(folder / "neighbours.npy", np.load(folder / "neighbours.npy")[:-1])
    write_manifest(folder)


def of_other_scores(folder: Path) -> None:
    np.save(folder / "golden_scores.npy", np.load(folder / "golden_scores.npy") + np.float32(0.1))
    write_manifest(folder)


def without_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def of_unknown_training(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"trained_on": {"events": "e", "to_ms": "yesterday"}}))


@pytest.mark.parametrize(
    "spoil", [truncated, of_other_bytes, of_another_shape, of_other_scores, without_manifest, of_unknown_training]
)
def test_a_bundle_that_the_job_would_refuse_is_judged_by_that_line_alone(
    spoil: Any, champion: Path, walks: Path, tmp_path: Path
) -> None:
    candidate = copied(champion, tmp_path / "candidate")
    spoil(candidate)
    report = judge(candidate, champion, walks, GateLimits())
    assert not report.passed and [line.name for line in report.lines] == ["bundle"]
    assert " Next: " in report.lines[0].why


def test_a_bundle_of_another_signer(champion: Path, walks: Path, tmp_path: Path) -> None:
    ours, theirs = (new_key(tmp_path / name) for name in ("ours.pem", "theirs.pem"))
    signed, candidate = copied(champion, tmp_path / "champion"), copied(champion, tmp_path / "candidate")
    sign_bundle(signed, str(tmp_path / "ours.pem"))
    sign_bundle(candidate, str(tmp_path / "theirs.pem"))
    assert failed(judge(candidate, signed, walks, GateLimits(), public_keys=[ours])) == {"bundle"}
    assert judge(candidate, signed, walks, GateLimits(), public_keys=[ours, theirs]).passed


def test_nan_that_the_golden_inputs_do_not_show(champion: Path, walks: Path, tmp_path: Path) -> None:
    candidate = write_bundle(tmp_path / "candidate", ITEMS, nan_for=6)
    report = judge(candidate, champion, walks, GateLimits(max_quality_loss=1, max_score_psi=100))
    assert failed(report) == {"answers"}


def test_nan_weights(champion: Path, walks: Path, tmp_path: Path) -> None:
    candidate = write_bundle(tmp_path / "candidate", ITEMS, nan_for=1)  # which the golden inputs do show
    assert failed(judge(candidate, champion, walks, GateLimits())) == {"bundle"}


def test_a_graph_that_raises_for_some_shoppers(tmp_path: Path) -> None:
    candidate, champion = write_faulty_bundle(tmp_path / "candidate"), write_bundle(tmp_path / "champion")
    walks = write_walks(tmp_path / "events.jsonl", items=range(1, 8))
    report = judge(candidate, champion, walks, GateLimits())
    assert failed(report) == {"answers"} and "scores every shopper" in why(report, "answers")


def test_ten_times_slower(champion: Path, walks: Path, tmp_path: Path) -> None:
    candidate = busy(champion, tmp_path / "candidate")
    report = judge(candidate, champion, walks, GateLimits())
    assert failed(report) == {"slower"}
    assert next(line.value for line in report.lines if line.name == "slower") > 10  # type: ignore[operator]
    assert failed(judge(candidate, None, walks, GateLimits(max_batch_ms=0.5))) == {"latency"}


def test_a_shuffled_item_table(champion: Path, walks: Path, tmp_path: Path) -> None:
    candidate = shuffled(champion, tmp_path / "candidate")
    report = judge(candidate, champion, walks, GateLimits())
    assert failed(report) == QUALITY | {"popularity", "overlap@20"}
    assert "keep the champion" in why(report, "NDCG@20")


def test_the_items_of_another_shop(champion: Path, walks: Path, tmp_path: Path) -> None:
    candidate = with_items(champion, tmp_path / "candidate", [f"x{number}" for number in range(ITEMS)])
    report = judge(candidate, champion, walks, GateLimits())
    assert failed(report) == QUALITY | {"popularity", "coverage", "overlap@20", "score drift"}


def test_the_same_list_for_all(champion: Path, walks: Path, tmp_path: Path) -> None:
    lax = GateLimits(max_quality_loss=1, max_score_psi=100)
    report = judge(same_for_all(tmp_path / "candidate"), champion, walks, lax)
    assert failed(report) == {"popularity", "coverage", "overlap@20"}


def test_scores_of_another_scale(champion: Path, walks: Path, tmp_path: Path) -> None:
    candidate = with_scores(champion, tmp_path / "candidate", 0.5)
    report = judge(candidate, champion, walks, GateLimits())
    assert failed(report) == {"score drift"}
    assert report.distributions.scores is not None and sum(report.distributions.scores.candidate) == pytest.approx(1)


def test_a_bundle_that_is_too_large(champion: Path, walks: Path) -> None:
    assert failed(judge(champion, champion, walks, GateLimits(max_mb=0.001))) == {"size"}


def test_a_candidate_that_forgot_what_it_knew(champion: Path, tmp_path: Path) -> None:
    half = ITEMS // 2
    newest = write_walks(tmp_path / "newest.jsonl", items=range(1, half + 1))
    old = write_walks(tmp_path / "old.jsonl", items=range(half + 1, ITEMS + 1))
    candidate = shuffled(champion, tmp_path / "candidate", first=half + 1)
    lax = GateLimits(max_quality_loss=0.2, min_coverage=0)
    report = judge(candidate, champion, newest, lax, old_events=old)
    assert failed(report) == {f"forgetting: {name}" for name in QUALITY}
    assert [window.file for window in report.windows] == ["newest.jsonl", "old.jsonl"]


def of_half_a_world(champion: Path, folder: Path, wrong: range) -> Path:
    """The champion with the items of a range in another order."""
    mixed = random.Random(5).sample([*wrong], len(wrong))
    order = [*range(1, wrong[0]), *mixed, *range(wrong[-1] + 1, ITEMS + 1)]
    return with_items(champion, folder, [f"i{number}" for number in order])


@pytest.mark.parametrize("forgot", [range(1, 2), range(1, 61), range(1, 101)])
def test_a_candidate_of_a_changed_world_may_forget_some_of_the_old_one_but_not_all(
    champion: Path, tmp_path: Path, forgot: range
) -> None:
    newest = write_walks(tmp_path / "newest.jsonl", items=range(101, 201))
    old = write_walks(tmp_path / "old.jsonl", items=range(1, 101))
    serving = of_half_a_world(champion, tmp_path / "serving", range(101, 201))
    candidate = of_half_a_world(champion, tmp_path / "candidate", forgot)
    report = judge(candidate, serving, newest, GateLimits(min_overlap=1), old_events=old)
    warned = {line.name for line in report.warnings}
    assert "overlap@20" in warned
    assert ("forgetting: NDCG@20" in warned) is (len(forgot) > 1)
    assert failed(report) == ({"forgetting: popularity"} if len(forgot) == 100 else set())
    assert report.passed is (len(forgot) < 100)
    worse = judge(serving, candidate, newest, GateLimits(min_overlap=1), old_events=old)
    assert not worse.warnings and "overlap@20" in failed(worse)


def test_of_an_old_file_the_named_events_are_asked(champion: Path, walks: Path) -> None:
    ids = [f"e{number}" for number in range(300, 400)]
    (_, old) = judge(champion, champion, walks, GateLimits(), old_events=walks, old_ids=ids).windows
    assert (old.questions, old.users) == (100, 60)


def test_too_few_questions_are_no_proof(champion: Path, tmp_path: Path) -> None:
    walks = write_walks(tmp_path / "events.jsonl", users=10)
    report = judge(champion, champion, walks, GateLimits())
    assert failed(report) == {"window"} and "longer window" in why(report, "window")


def test_without_a_champion_the_popular_list_must_be_beaten(champion: Path, walks: Path, tmp_path: Path) -> None:
    report = judge(champion, None, walks, GateLimits())
    assert report.passed and report.remarks == [NO_CHAMPION] and report.champion is None
    assert [line.name for line in report.lines] == [
        "bundle", "window", "answers", "popularity", "latency", "size", "calibration",
    ]  # fmt: skip
    candidate = shuffled(champion, tmp_path / "candidate")
    assert failed(judge(candidate, None, walks, GateLimits())) == {"popularity"}
    with pytest.raises(LiveshelfError, match="--champion"):
        judge(champion, None, walks, GateLimits(), old_events=walks)


def test_a_champion_that_cannot_serve_is_an_error_and_no_verdict(champion: Path, walks: Path, tmp_path: Path) -> None:
    broken = copied(champion, tmp_path / "broken")
    truncated(broken)
    with pytest.raises(BundleError, match="sha256"):
        judge(champion, broken, walks, GateLimits())


def test_no_question_is_asked_that_a_training_has_seen(champion: Path, walks: Path, tmp_path: Path) -> None:
    seen_until_ms = NOW_MS + 300_000
    candidate = copied(champion, tmp_path / "candidate")
    manifest = json.loads((candidate / "manifest.json").read_text())
    manifest["trained_on"] = {"events": "events.jsonl", "to_ms": seen_until_ms}
    (candidate / "manifest.json").write_text(json.dumps(manifest))
    for pair in ((candidate, champion), (champion, candidate)):
        (window,) = judge(*pair, walks, GateLimits(min_questions=1)).windows
        assert window.from_ms == seen_until_ms and window.questions == 720 - 300
    with pytest.raises(EventsFileError, match="newer events"):
        judge(candidate, champion, walks, GateLimits(), test_from=NOW_MS + 10**9)
