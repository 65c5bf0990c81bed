"""What a model has to beat: baselines on the same split, ranked in full."""
