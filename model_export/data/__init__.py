"""Data: events and session files -> examples, splits, windows."""
