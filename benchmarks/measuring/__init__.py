"""Shared by all benchmarks: the load, the conditions, the machine, figures and missing figures."""
