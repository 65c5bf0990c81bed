"""Lengths of time in milliseconds, the unit of all times on topics, and moments."""

from typing import Annotated

import msgspec

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

Moment = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]  # epoch ms, to the end of the year 9999
