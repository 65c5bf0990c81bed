"""The trainer: data sets, the model, baselines, evaluation and the export of bundles. Other rooms import no torch, except
`benchmarks/models/`."""

import operators  # noqa: F401  # before ONNX Runtime: it turns its telemetry off
