"""Jobs that benchmarks submit: the floor of freshness, and a job as the tutorials write it."""
