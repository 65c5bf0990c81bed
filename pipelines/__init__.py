"""The Flink job and what stands around it. pyflink is imported here and nowhere else."""
