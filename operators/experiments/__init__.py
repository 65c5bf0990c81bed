"""Experiments: arms of users, outcomes by arm, and the statistics that compare arms."""
