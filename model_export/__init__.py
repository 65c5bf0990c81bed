"""The trainer: data sets, the model, baselines, evaluation and the export of bundles. torch is imported here only."""

import operators  # noqa: F401  # before ONNX Runtime: it decides whether that reports to its maker
