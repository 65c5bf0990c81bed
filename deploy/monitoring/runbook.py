"""The sections of the alerts in docs/operate.md: `python -m deploy.monitoring.runbook docs/operate.md`."""

import sys
from itertools import groupby
from pathlib import Path

from deploy.monitoring.alerts import ALERTS
from deploy.monitoring.explained import EXPLAINS

BEGIN, END = "<!-- alerts: made by `make monitoring` -->", "<!-- end of alerts -->"


def sections() -> str:
    """One section an alert, in the order of the rules."""
    parts = []
    for name, variants in groupby(ALERTS, key=lambda alert: alert.name):
        every = [*variants]
        how = " or ".join(f"{alert.severity} after {alert.hold}" for alert in every)
        what = every[0].do if every[0].do.endswith("?") else f"{every[0].do}."
        hidden = f" Silences {EXPLAINS[name].replace('|', ', ')} while it fires." if name in EXPLAINS else ""
        parts.append(f"### {name}\n\n{every[0].summary} ({every[0].kind}; {how}).{hidden}\n**Do:** {what}\n")
    return "\n".join(parts)


def with_sections(page: str) -> str:
    """The page with the sections of now between its two marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{sections()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_sections(file.read_text()))
