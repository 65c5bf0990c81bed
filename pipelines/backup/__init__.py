"""The whole system into a folder, and back."""
