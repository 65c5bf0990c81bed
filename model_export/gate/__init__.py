"""The model gate: judges a candidate bundle on the newest window of events against the champion."""
