"""What the statistics of experiments promise, on simulated shoppers whose truth is known. Needs no stack."""
