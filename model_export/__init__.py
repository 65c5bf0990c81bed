"""The trainer: data sets, the model, baselines, evaluation and the export of bundles. torch is imported here only."""
