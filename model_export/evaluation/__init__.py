"""Evaluation: metrics, `liveshelf evaluate`, the state-age curve."""
