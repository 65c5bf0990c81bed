import pytest

pytest.importorskip("matplotlib")

from operators.errors import LiveshelfError
from operators.experiments.report import report_over_time
from pipelines.reports.experiment_plot import plot
from tests.operators.experiments.shown_items import HALVES, shown

EXAMPLES = [
    shown(f"u{n}", "click" if n % 7 == 0 else "none", ("control", "treatment")[n % 2], shown_at=n) for n in range(4000)
]


def test_the_plot_has_a_line_and_a_band_of_each_arm_and_difference() -> None:
    looks = report_over_time(EXAMPLES, HALVES, looks=20)
    rates, differences = plot(looks).axes
    assert [line.get_label() for line in rates.get_lines()] == ["control", "treatment"]
    assert len(rates.collections) == 2
    assert len(differences.collections) == 1
    assert differences.get_lines()[0].get_xdata()[-1] == 4000
    assert differences.get_lines()[0].get_xdata()[0] > 200  # earlier looks had too few users


def test_looks_that_all_came_too_early_are_refused() -> None:
    with pytest.raises(LiveshelfError, match="enough users in each arm; came 2 too early"):
        plot(report_over_time(EXAMPLES[:50], HALVES, looks=2))
