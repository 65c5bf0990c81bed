"""Benchmarks of a model or a part of it, without a stack."""
