"""The two sizes of a model. What is not here is derived; docs/train.md says what these were chosen by."""

from model_export.training.fit_options import FitOptions

SIZES = {
    "small": FitOptions(),
    "large": FitOptions(encoder="attention", width=128, window=50, dropout=0.3, learning_rate=2e-3),
}
