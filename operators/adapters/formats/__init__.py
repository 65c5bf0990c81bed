"""One file a format: which of its fields become which of ours. docs/import.md has the same as tables."""
