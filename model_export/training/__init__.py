"""Training: the loop, its settings, checkpoints, `liveshelf train`."""
