"""What the flags of `liveshelf train` change of a size's settings."""

from pathlib import Path

import pytest

from liveshelf.terminal import extras
from model_export.training.sizes import SIZES
from model_export.training.train_options import TrainOptions, settings_text
from operators.errors import LiveshelfError
from tests.places import ROOT

TUNED = ROOT / "model_export" / "tuned"


def test_a_flag_that_is_not_given_leaves_the_size_as_it_is() -> None:
    assert TrainOptions(size="large").fit_options() == SIZES["large"]
    fit_options = TrainOptions(size="small", dropout=0.0, window=50, seed=3).fit_options()
    assert (fit_options.dropout, fit_options.window, fit_options.seed, fit_options.width) == (
        0.0,
        50,
        3,
        SIZES["small"].width,
    )


def test_the_hop_of_a_size_goes_with_its_window(tmp_path: Path) -> None:
    small = SIZES["small"]
    assert (small.window, small.hop) == (28, 14)
    assert [TrainOptions(window=window).fit_options().hop for window in (50, 28, 20, 5, 1)] == [14, 14, 10, 3, 1]
    assert TrainOptions(window=20, hop=20).fit_options().hop == 20
    with pytest.raises(LiveshelfError, match="--hop of 1 to 28"):
        TrainOptions(hop=29).fit_options()
    file = tmp_path / "before.toml"
    file.write_text("window = 20\n")  # of a release without the hop
    assert TrainOptions().with_settings(file).fit_options().hop == 1
    assert TrainOptions(hop=4).with_settings(file).fit_options().hop == 4


def test_an_extra_that_is_missing_is_named_with_the_way_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    extras.need("matplotlib", "tensorboard")
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(LiveshelfError, match=r"extra `report` \(matplotlib\).*liveshelf\[report\]"):
        extras.need("matplotlib", "tensorboard")
    with pytest.raises(LiveshelfError, match="make train-deps"):
        extras.need("torch")


@pytest.mark.parametrize("file", sorted(TUNED.glob("*.toml")), ids=lambda file: file.stem)
def test_the_committed_settings_are_whole(file: Path) -> None:
    options = TrainOptions().with_settings(file)
    assert options.epochs and options.window, "else they would be searched, or derived from the data"
    assert file.read_text() == settings_text(options.fit_options(), file.read_text().splitlines()[0].removeprefix("# "))
