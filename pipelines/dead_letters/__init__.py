"""Refused records: read, repaired, put back."""
