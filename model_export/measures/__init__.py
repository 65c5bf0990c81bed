"""Ranking metrics, and the log of a training."""
