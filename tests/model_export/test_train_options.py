"""What the flags of `liveshelf train` change of a size's settings."""

from model_export.training.sizes import SIZES
from model_export.training.train import TrainOptions


def test_a_flag_that_is_not_given_leaves_the_size_as_it_is() -> None:
    assert TrainOptions(size="large").fitting() == SIZES["large"]
    given = TrainOptions(size="small", dropout=0.0, window=50, seed=3).fitting()
    assert (given.dropout, given.window, given.seed, given.width) == (0.0, 50, 3, SIZES["small"].width)
