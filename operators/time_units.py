"""Lengths of time in milliseconds, the unit of all times on topics."""

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
