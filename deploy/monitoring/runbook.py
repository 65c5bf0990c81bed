"""The sections of the alerts in docs/operate.md: `python -m deploy.monitoring.runbook docs/operate.md`."""

import sys
from itertools import groupby
from pathlib import Path
from textwrap import fill

from deploy.monitoring.alerts import ALERTS
from deploy.monitoring.explained import EXPLAINS

COMMANDS = ("liveshelf ", "df ", "sum ")
BEGIN, END = "<!-- alerts: made by `make monitoring` -->", "<!-- end of alerts -->"


def sections() -> str:
    """One section an alert, in the order of the rules."""
    parts = []
    for name, variants in groupby(ALERTS, key=lambda alert: alert.name):
        alerts = [*variants]
        how = " or ".join(f"{alert.severity} {_delay(alert.hold)}" for alert in alerts)
        parts.append(f"### {name}\n\n{_wrapped(alerts[0].summary)}.\n\n*{alerts[0].kind.capitalize()}; {how}.*\n")
        parts.append("\n".join(map(_step, alerts[0].do.split("; "))) + "\n")
        if name in EXPLAINS:
            hidden = f"While it fires, it silences {EXPLAINS[name].replace('|', ', ')}."
            parts.append(f"{_wrapped(hidden)}\n")
    return "\n".join(parts)


def _wrapped(text: str) -> str:
    return fill(text, 118, break_long_words=False)


def _delay(hold: str) -> str:
    return "at once" if hold == "0s" else f"after {hold}"


def _step(step: str) -> str:
    """A line of a list; a command is shown as code."""
    command, colon, explanation = step.partition(": ")
    return f"- `{command}`{colon}{explanation}" if command.startswith(COMMANDS) else f"- {step[0].upper()}{step[1:]}"


def with_sections(page: str) -> str:
    """The page with new sections between its two marks."""
    before, after = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{sections()}\n{END}{after.split(END)[1]}"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_sections(file.read_text()))
