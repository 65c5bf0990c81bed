"""What the command and the benchmarks do with the stack on this machine: start it, submit to it, resume on it."""
