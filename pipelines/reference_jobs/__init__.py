"""Jobs that benchmarks submit: the floor of freshness, and a job in the style of PyFlink's tutorials."""
