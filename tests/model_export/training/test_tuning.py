"""The search for hyper-parameters ends no worse than it began, goes on after a stop, and trains what it found."""

from pathlib import Path

import optuna
import pytest

from model_export.training.fit_options import FitOptions
from model_export.training.train_options import TrainingData, TrainOptions, settings_text
from model_export.training.tuning import first_points, tune
from operators.errors import LiveshelfError
from tests.model_export.training.test_training import circle

OPTIONS = TrainOptions(fit=FitOptions(width=8, batch=512, bf16_products=False))


@pytest.fixture
def source(tmp_path: Path) -> TrainingData:
    return TrainingData(circle(tmp_path))


def test_it_goes_on_where_it_stopped_and_its_settings_are_trained(source: TrainingData, tmp_path: Path) -> None:
    log_lines: list[str] = []
    out = tmp_path / "mine.toml"
    tune(source, out, OPTIONS, trials=2, epochs=2, log=log_lines.append)
    result = tune(source, out, OPTIONS, trials=5, epochs=2, log=log_lines.append)
    assert sum(line.startswith("trial ") for line in log_lines) == result["trials"] == 5
    assert result["validation_mrr20"] >= result["without_search"] > 0
    fit_options = TrainOptions().with_settings(out).fit_options()
    assert {name: getattr(fit_options, name) for name in result["settings"]} == result["settings"]
    assert (fit_options.width, fit_options.batch) == (8, 512)
    assert TrainOptions().with_settings(out).epochs == result["settings"]["epochs"], "no search when it is trained"
    assert TrainOptions(epochs=1, dropout=0.0).with_settings(out).fit_options().dropout == 0.0


def test_a_trial_that_was_killed_is_tried_once_more(source: TrainingData, tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    backend = optuna.storages.journal.JournalFileBackend(str(out.with_suffix(".study")))
    study = optuna.create_study(
        study_name="liveshelf", direction="maximize", storage=optuna.storages.JournalStorage(backend)
    )
    study.enqueue_trial(first_points(OPTIONS.fit_options(), 1)[0])
    killed = study.ask()
    killed.suggest_float("dropout", 0.05, 0.65, step=0.05)
    tune(source, out, OPTIONS, trials=1, epochs=1, log=lambda _: None)
    states = [trial.state.name for trial in study.trials]
    assert states == ["FAIL", "COMPLETE"] and study.trials[1].params["dropout"] == killed.params["dropout"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("drop_out = 0.5", "drop_out in"),
        ('dropout = "much"', "dropout = 'much'"),
        ("epochs = 2.5", "epochs = 2.5"),
        ("dropout = ", "settings in TOML"),
        (None, "settings in TOML"),
    ],
)
def test_settings_that_are_none_are_refused(tmp_path: Path, text: str | None, expected: str) -> None:
    file = tmp_path / "settings.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(LiveshelfError, match=expected):
        TrainOptions().with_settings(file)


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    settings = FitOptions(encoder="gru", weight_decay=1e-7, scale=12.0, bf16_products=False)
    file.write_text(settings_text(settings, "by hand"))
    assert TrainOptions().with_settings(file).fit == settings
    file.write_text("scale = 12\n")
    assert TrainOptions().with_settings(file).fit_options().scale == 12
    file.write_text("window = 30\n")  # as a flag's, it is not replaced by the data's own
    assert TrainOptions().with_settings(file).window == 30 and TrainOptions(window=9).with_settings(file).window == 9
