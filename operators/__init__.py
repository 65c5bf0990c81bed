"""The kernel: pure functions and small classes that the job, the tests, the trainer and the storefront share."""
