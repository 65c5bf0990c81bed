"""The two sizes of a model; docs/train.md says how they were chosen."""

from model_export.training.fit_options import FitOptions

SIZES = {
    "small": FitOptions(),
    "large": FitOptions(encoder="attention", width=128, window=50, dropout=0.3, learning_rate=2e-3),
}
