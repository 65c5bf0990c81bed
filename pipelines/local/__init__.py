"""Work on the local stack, for the command and the benchmarks: start it, submit, resume, replay, tidy."""
