"""The Flink job and the command line. pyflink is imported here and nowhere else."""
