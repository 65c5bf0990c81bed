"""The demo: its replay, figures and checks."""
