"""The scorer's process and the operator's way to it."""
