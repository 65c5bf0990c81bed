"""`liveshelf train --sessions` and `evaluate` on a small circle of items: what is certain is found, and the numbers agree."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from liveshelf.main import app
from model_export.bundles.compress import compressed_bundle
from model_export.data.sessions import EPOCH_MS, MINUTE_MS, read_sessions, views
from model_export.evaluation.evaluate import evaluate_sessions
from model_export.evaluation.evaluate_events import evaluate_events
from model_export.evaluation.served import ranks_of_candidates
from model_export.measures.ranking_metrics import NEVER
from model_export.training.fit_options import FitOptions
from model_export.training.sizes import SIZES
from model_export.training.train import DROPOUTS, train
from model_export.training.train_options import TrainingData, TrainOptions
from operators.configuration.shop_settings import ListSettings
from operators.errors import BundleError, EventsFileError
from operators.lists.catalogue import Catalogue
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import encode_record
from operators.settings import ScorerSettings
from tests.builders import NOW_MS, viewed
from tests.model_export.data.test_sessions import write

ITEMS = 40


def circle(folder: Path) -> Path:
    """Each session walks on by one item; the test goes on where its prefix ends. One target was never seen."""
    walks = [[(start * 7 + n) % ITEMS for n in range(4 + start % 5)] for start in range(300)]
    prefixes = [[n, (n + 1) % ITEMS] for n in range(ITEMS)]
    return write(folder / "circle", walks, [*prefixes, [0, 1]], [*((n + 2) % ITEMS for n in range(ITEMS)), 999])


@pytest.fixture(scope="module")
def trained_bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("sessions")
    fit_options = FitOptions(epochs=6, width=32, dropout=0.1, window=30)
    options = TrainOptions(name="circle", fit=fit_options, epochs=6)
    train(TrainingData(sessions=circle(folder)), folder / "bundle", options, log=lambda _: None)
    return folder / "bundle", folder / "circle"


@pytest.mark.filterwarnings("ignore")
def test_the_bundle_finds_what_is_certain_and_says_by_which_protocol(trained_bundle: tuple[Path, Path]) -> None:
    bundle, sessions = trained_bundle
    evaluation = evaluate_sessions(ModelBundle.load(bundle), sessions, lambda _: None)
    assert evaluation["P@20"] == pytest.approx(100 * 40 / 41, abs=0.01)  # the unseen target is a miss
    assert evaluation["MRR@20"] > 90
    assert set(evaluation["baselines"]) == {
        "popularity", "session popularity", "Markov", "item-kNN", "VMIS-kNN", "ALS",
    }  # fmt: skip
    assert evaluation["baselines"]["Markov"]["MRR@20"] > 90 > evaluation["baselines"]["popularity"]["MRR@20"]
    assert evaluation["protocol"]["questions"] == 41 and evaluation["protocol"]["steps_seen_by_the_model"] == 30


@pytest.mark.filterwarnings("ignore")
def test_the_served_graph_is_as_good_as_the_trained_model(trained_bundle: tuple[Path, Path]) -> None:
    bundle, sessions = trained_bundle
    manifest = json.loads((bundle / "manifest.json").read_text())
    of_torch = next(metrics for name, metrics in manifest["metrics"]["test"].items() if name.startswith("small"))
    served = evaluate_sessions(ModelBundle.load(bundle), sessions, lambda _: None)
    assert served["MRR@20"] == pytest.approx(100 * of_torch["MRR@20"], abs=0.01)
    assert not list(bundle.parent.glob(".*"))  # no checkpoint, no half bundle


@pytest.mark.filterwarnings("ignore")
def test_the_command_prints_one_json_object(trained_bundle: tuple[Path, Path]) -> None:
    bundle, sessions = trained_bundle
    ran = CliRunner().invoke(app, ["evaluate", "--bundle", str(bundle), "--sessions", str(sessions), "--json"])
    assert ran.exit_code == 0, ran.output
    assert {"P@20", "MRR@20", "NDCG@20", "baselines", "protocol"} <= set(json.loads(ran.stdout))


@pytest.mark.filterwarnings("ignore")
def test_a_full_disk_leaves_the_older_bundle(
    trained_bundle: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, sessions = trained_bundle
    before = (bundle / "manifest.json").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    options = TrainOptions(name="circle", fit=FitOptions(width=8), epochs=1)
    with pytest.raises(BundleError, match="free the disk"):
        train(TrainingData(sessions=sessions), bundle, options, log=lambda _: None)
    assert (bundle / "manifest.json").read_bytes() == before
    assert not (bundle.parent / f".{bundle.name}.part").exists()


def test_ties_among_candidates_count_against_the_model() -> None:
    scores = np.array([[3, 2, 2, 1]] * 3, dtype=np.float32)
    rows = np.array([[5, 6, 7, 8]] * 3, dtype=np.int32)
    assert ranks_of_candidates(scores, rows, np.array([6, 9, 0], dtype=np.int32)).tolist() == [3, NEVER, NEVER]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_is_not_given_is_searched_on_the_validation_window(tmp_path: Path) -> None:
    log_lines: list[str] = []
    manifest = train(
        TrainingData(sessions=circle(tmp_path)), tmp_path / "bundle", TrainOptions(name="circle"), log=log_lines.append
    )
    assert 1 <= manifest["settings"]["epochs"] <= FitOptions().epochs
    assert manifest["metrics"]["validation"]["MRR@20"] > 0.8
    dropouts = [float(line.rsplit(" ", 1)[1]) for line in log_lines if "searching" in line]
    assert len(dropouts) > 1 and dropouts == [*DROPOUTS[: len(dropouts)]]
    assert (
        manifest["settings"]["dropout"] in dropouts[-2:]
    )  # the last is the best, or was no better and ended the search
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bundle", "circle"]


@pytest.mark.filterwarnings("ignore")
def test_the_large_size_is_exported_and_served_with_its_own_window(tmp_path: Path) -> None:
    fit_options = replace(SIZES["large"], width=16)
    options = TrainOptions(name="circle", size="large", fit=fit_options, epochs=1)
    train(TrainingData(sessions=circle(tmp_path)), tmp_path / "bundle", options, log=lambda _: None)
    bundle = ModelBundle.load(tmp_path / "bundle")
    assert bundle.window == 50 and bundle.golden["items"].shape[1] == 50
    list_maker = ListMaker(
        bundle,
        Scorer(bundle, ScorerSettings(provider="cpu")),
        Catalogue(bundle.vocabulary, 0.5),
        ListSettings(),
        lambda: NOW_MS,
    ).make([Request("u", viewed(*(str(n) for n in range(30))), NOW_MS, "e")])
    assert list_maker[0].source == "model" and len(list_maker[0].items) == ListSettings().size


@pytest.mark.filterwarnings("ignore")
def test_an_int8_bundle_says_nearly_the_same_whoever_is_in_the_batch(
    trained_bundle: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle, sessions = trained_bundle
    out = tmp_path / "int8"
    ran = CliRunner().invoke(app, ["export", "--bundle", str(bundle), "--out", str(out), "--int8", "--json"])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["golden_top_20_kept"] > 0.9
    smaller = ModelBundle.load(out)
    assert smaller.manifest["made_from"] == ModelBundle.load(bundle).version
    assert evaluate_sessions(smaller, sessions, lambda _: None)["MRR@20"] > 90
    scorer = Scorer(smaller, ScorerSettings(provider="cpu"))
    golden = {name: smaller.golden[name] for name in ("items", "kinds", "length")}
    together, _ = scorer._run(golden)
    single_rows = [scorer._run({k: v[n : n + 1] for k, v in golden.items()})[0] for n in range(8)]
    assert np.array_equal(together[:8], np.concatenate(single_rows))


@pytest.mark.filterwarnings("ignore")
def test_a_bundle_in_half_precision_is_smaller_and_says_the_same(
    trained_bundle: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle, sessions = trained_bundle
    out = tmp_path / "half"
    ran = CliRunner().invoke(app, ["export", "--bundle", str(bundle), "--out", str(out), "--fp16", "--json"])
    assert ran.exit_code == 0, ran.output
    report = json.loads(ran.stdout)
    assert report["golden_top_20_kept"] > 0.99
    before, after = ((folder / "model.onnx").stat().st_size for folder in (bundle, out))
    table = ModelBundle.load(bundle).vectors.size * 4
    assert before - after == pytest.approx(table / 2, rel=0.1)
    assert evaluate_sessions(ModelBundle.load(out), sessions, lambda _: None)["MRR@20"] > 90
    result = CliRunner().invoke(app, ["export", "--bundle", str(bundle), "--out", str(out), "--fp16", "--int8"])
    assert result.exit_code and "--int8 or --fp16" in str(result.exception or result.output)


@pytest.mark.parametrize("option", ["int8", "float16"])
def test_a_bundle_is_compressed_once(trained_bundle: tuple[Path, Path], tmp_path: Path, option: str) -> None:
    compressed_bundle(trained_bundle[0], tmp_path / "smaller", "int8")
    with pytest.raises(BundleError, match="initializer"):
        compressed_bundle(tmp_path / "smaller", tmp_path / "again", option)
    assert not (tmp_path / "again").exists()


@pytest.mark.filterwarnings("ignore")
def test_events_are_judged_by_slices_and_by_the_age_of_the_state(
    trained_bundle: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle, sessions = trained_bundle
    walks, file = read_sessions(sessions).train, tmp_path / "events.jsonl"
    file.write_bytes(b"".join(encode_record(event) + b"\n" for event in views(walks)))
    test_from = EPOCH_MS + 200 * MINUTE_MS
    ran = CliRunner().invoke(
        app,
        ["evaluate", "--bundle", str(bundle), "--events", str(file), "--test-from", str(test_from), "--json",
         "--plot", str(tmp_path / "curve.png")],
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    evaluation = json.loads(ran.stdout)
    questions = sum(len(walk) - 1 for walk in walks[200:])
    assert evaluation["protocol"]["questions"] == questions
    assert sum(event["questions"] for event in evaluation["by_history_length"].values()) == questions
    assert evaluation["state_age"]["0 s"]["MRR@20"] == evaluation["MRR@20"] > 90
    assert (
        evaluation["state_age"]["1 min"]["empty"] == 100
        and evaluation["state_age"]["1 min"]["P@20"] < evaluation["P@20"]
    )
    assert 0 < evaluation["lists"]["coverage"] <= 1
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_test_without_questions_is_said(trained_bundle: tuple[Path, Path], tmp_path: Path) -> None:
    bundle, sessions = trained_bundle
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"".join(encode_record(event) + b"\n" for event in views(read_sessions(sessions).train[:5])))
    with pytest.raises(EventsFileError, match="up to the last"):
        evaluate_events(ModelBundle.load(bundle), file, EPOCH_MS + 10**9, lambda _: None)
