"""A candidate's report as one HTML file with its plots inside (extra `report`)."""

import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
from matplotlib.figure import Figure

from model_export.gate.report import Distributions, GateReport, Line, ScoreShares, Window, shown

TEMPLATE = Path(__file__).with_name("page.html.j2")
GOOD, BAD, CANDIDATE, CHAMPION = "#1a7f4b", "#b3261e", "#1f6fb2", "#9aa5b1"


def render(report: GateReport) -> str:
    """The report as HTML text, which names no other file and no address."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["shown"] = shown
    style = mpl.rc_context(
        {"svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    with style:
        plots = [(title, _svg(figure)) for title, figure in _plots(report)]
    return environment.from_string(TEMPLATE.read_text()).render(
        report=report,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        windows=[_span(window) for window in report.windows],
        plots=plots,
    )


def _span(window: Window) -> str:
    begin = "its beginning" if not window.from_ms else _moment(window.from_ms)
    return (
        f"{window.file}: {window.questions:,} questions of {window.users:,} users, {begin} to {_moment(window.to_ms)}"
    )


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(sep=" ", timespec="minutes")


def _plots(report: GateReport) -> list[tuple[str, Figure]]:
    drawn = report.distributions
    differences = [line for line in report.lines if line.interval is not None and not line.name.endswith("popularity")]
    plots = [("Quality: candidate minus champion, 95 % interval", _differences(differences))] if differences else []
    if drawn.overlap:
        plots.append(("Items of a list that are on the champion's too", _overlap(drawn.overlap)))
    if drawn.scores is not None:
        plots.append(("Best score of each shopper", _scores(drawn.scores)))
    if drawn.candidate_ms:
        plots.append(("CPU time of a micro-batch", _times(drawn)))
    return plots


def _differences(lines: list[Line]) -> Figure:
    """An interval for each line, with its limit as a tick: a green one lies right of it."""
    figure, axes = _figure()
    for place, line in enumerate(reversed(lines)):
        assert line.interval and line.limit is not None and line.value is not None and line.champion is not None
        color = GOOD if line.passed else BAD
        axes.plot(line.interval, [place, place], color=color, linewidth=2)
        axes.plot(line.value - line.champion, place, "o", color=color)
        axes.plot(line.limit, place, "|", color="black", markersize=18)
    axes.axvline(0, color=CHAMPION, linewidth=0.8)
    axes.set_yticks(range(len(lines)), [line.name for line in reversed(lines)])
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.set_xlabel("difference; the black tick is the limit")
    return figure


def _overlap(counts: list[int]) -> Figure:
    figure, axes = _figure()
    axes.bar(range(len(counts)), counts, color=CANDIDATE)
    axes.set_xlabel("shared items")
    axes.set_ylabel("questions")
    return figure


def _scores(shares: ScoreShares) -> Figure:
    figure, axes = _figure()
    ends = [f"{edge:.3g}" for edge in shares.edges]
    for name, values, color, shift in (
        ("champion", shares.champion, CHAMPION, -0.2),
        ("candidate", shares.candidate, CANDIDATE, 0.2),
    ):
        axes.bar([place + shift for place in range(len(values))], values, width=0.4, color=color, label=name)
    axes.set_xticks([place + 0.5 for place in range(len(ends))], ends)
    axes.set_xlabel("score: bins of equal share of the champion's")
    axes.set_ylabel("share of shoppers")
    axes.margins(y=0.25)  # place for the legend
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return figure


def _times(drawn: Distributions) -> Figure:
    figure, axes = _figure()
    by_name = {"candidate": drawn.candidate_ms, "champion": drawn.champion_ms}
    shown = {name: times for name, times in by_name.items() if times}
    for place, (name, times) in enumerate(reversed(shown.items())):
        color = CANDIDATE if name == "candidate" else CHAMPION
        axes.boxplot(times, positions=[place], orientation="horizontal", widths=0.5, patch_artist=True,
                     boxprops={"facecolor": color}, medianprops={"color": "black"}, flierprops={"markersize": 3})  # fmt: skip
    axes.set_yticks(range(len(shown)), [*reversed(shown)])
    axes.set_xlim(left=0)
    axes.set_xlabel("ms")
    return figure


def _figure() -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.6, 2.6), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Figure) -> str:
    """Without the metadata, which would name matplotlib's address."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
