"""What all benchmarks share: load, conditions, the machine, figures and what is no figure."""
