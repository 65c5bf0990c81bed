"""Submits the job: cluster, Flink's client, shipped files, first offsets, savepoints."""
