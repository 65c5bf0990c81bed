"""The profile as one HTML file with its plots inside (extra `report`)."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from operators.time_units import HOUR_MS
from pipelines.reports.data_profile import Profile

TEMPLATE = Path(__file__).with_name("profile.html.j2")
SIZE = (6.4, 2.6)
mpl.rcParams.update({"svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})


def render(profile: Profile) -> str:
    """The profile as HTML text."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(TEMPLATE.read_text())
    return template.render(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        profile=profile,
        span=_span(profile),
        expectations=[
            {
                "topic": topic,
                "name": name,
                "checked": checked,
                "share": profile.failed[topic, name] / checked,
                "failed": profile.failed[topic, name],
                "examples": profile.examples[topic, name],
            }
            for (topic, name), checked in sorted(profile.checked.items())
            if checked
        ],
        plots=[(title, _svg(figure)) for title, figure in _plots(profile) if figure is not None],
        types=profile.types.most_common(),
        items=profile.items.most_common(10),
        categories=profile.categories.most_common(10),
    )


def _span(profile: Profile) -> str:
    hours = sorted({hour for counts in profile.hours.values() for hour in counts})
    if not hours:
        return "no events"
    begin, end = (
        datetime.fromtimestamp(hour * HOUR_MS / 1000, UTC).isoformat(timespec="hours") for hour in (hours[0], hours[-1])
    )
    return f"{begin} to {end}"


def _plots(profile: Profile) -> list[tuple[str, Figure | None]]:
    return [
        ("Events by hour", _by_hour(profile)),
        ("Events a user", _long_tail([*profile.users.values()], "users, most active first", "events")),
        ("Events an item", _long_tail([*profile.items.values()], "items, most frequent first", "events")),
        ("Prices: events and catalogue", _prices(profile)),
        ("Categories", _bars(profile.categories.most_common(12))),
    ]


def _by_hour(profile: Profile) -> Figure | None:
    hours = sorted({hour for counts in profile.hours.values() for hour in counts})
    if not hours:
        return None
    figure, axes = _figure()
    shown_hours = range(hours[0], hours[-1] + 1) if hours[-1] - hours[0] < 24 * 14 else hours
    days = [datetime.fromtimestamp(hour * HOUR_MS / 1000, UTC) for hour in shown_hours]
    for kind, counts in sorted(profile.hours.items()):
        axes.plot(
            days,
            [counts[hour] for hour in shown_hours],
            label=kind,
            linewidth=1.2,
            marker="." if len(days) < 3 else None,
        )
    axes.set_ylabel("events an hour")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    figure.autofmt_xdate(rotation=0, ha="center")
    return figure


def _long_tail(counts: Sequence[int], label: str, value: str) -> Figure | None:
    if not counts:
        return None
    figure, axes = _figure()
    axes.loglog(np.arange(1, len(counts) + 1), sorted(counts, reverse=True), linewidth=1.5)
    axes.set_xlabel(label)
    axes.set_ylabel(value)
    return figure


def _prices(profile: Profile) -> Figure | None:
    kinds = {"events": profile.event_prices, "catalogue": profile.catalogue_prices}
    positive = {name: [price for price in prices if price > 0] for name, prices in kinds.items()}
    all_prices = [price for prices in positive.values() for price in prices]
    if not all_prices:
        return None
    figure, axes = _figure()
    bins = np.geomspace(min(all_prices), max(all_prices) * 1.001, 40) if max(all_prices) > min(all_prices) else 10
    for name, prices in positive.items():
        if prices:
            weights = np.full(len(prices), 1 / len(prices))
            axes.hist(prices, bins=bins, weights=weights, alpha=0.6, label=name)  # type: ignore[arg-type]
    axes.set_xscale("log")
    axes.set_xlabel("price")
    axes.set_ylabel("share")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _bars(counts: Sequence[tuple[str, int]]) -> Figure | None:
    if len(counts) < 2:
        return None
    figure, axes = _figure()
    axes.barh([name[:30] for name, _ in reversed(counts)], [count for _, count in reversed(counts)])
    axes.set_xlabel("events")
    return figure


def _figure() -> tuple[Figure, Any]:
    figure = Figure(figsize=SIZE, layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
