"""The baselines that a model must beat, on the same split and with full ranking."""
