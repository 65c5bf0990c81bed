"""The two sizes of a model; docs/train.md says how they were chosen."""

from model_export.training.fit_options import FitOptions

SIZES = {
    # 15 to 28 steps, 21 on average; a full pass comes with each 14th step alone (docs/decisions/0033-encoder-cache.md)
    "small": FitOptions(window=28, hop=14),
    "large": FitOptions(encoder="attention", width=128, window=50, dropout=0.3, learning_rate=2e-3),
}
