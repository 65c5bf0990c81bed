"""Service level objectives, and their alerts by how fast the error budget burns.

Two windows each, long and short: the long one says that it matters, the short one that it goes on (Google, The Site
Reliability Workbook, chapter 5). Durations stand between @ so that tests can compress time.
"""

from dataclasses import dataclass

from deploy.monitoring.alert import Alert


@dataclass(frozen=True)
class Objective:
    """A share of good events over 30 days. `bad` and `all` are PromQL rates over a window `WINDOW`."""

    name: str  # of the recording rules: liveshelf:<name>_error_ratio:rate<window>
    alert: str
    target: float
    description: str
    bad: str
    all: str
    series: str  # of `all`: where it is younger than half a window, the window says nothing yet
    do: str

    def ratio(self, window: str) -> str:
        """Bad / all over a window such as "1h"; no value while nothing happens."""
        return f"({self.bad}) / ({self.all})".replace("WINDOW", f"@{window}@")


OBJECTIVES = (
    Objective(
        "freshness",
        "FreshnessBudgetBurn",
        0.99,
        "a list goes out within 250 ms of the shopper's event",
        'sum(rate(liveshelf_freshness_seconds_count[WINDOW])) - sum(rate(liveshelf_freshness_seconds_bucket{le="0.25"}[WINDOW]))',
        "sum(rate(liveshelf_freshness_seconds_count[WINDOW])) > 0",
        "liveshelf_freshness_seconds_count",
        "open /ops and find the stage that grew; stages wait and score: too much load, or a slow model; stage read: the broker; stage publish: the shop's clock or its producer",
    ),
    Objective(
        "model",
        "ModelListsBudgetBurn",
        0.995,
        "the model makes the lists, not its fallbacks",
        "sum(rate(liveshelf_fallbacks_total[WINDOW]))",
        "sum(rate(liveshelf_lists_total[WINDOW])) > 0",
        "liveshelf_lists_total",
        "liveshelf bundle verify; sum by (cause) (rate(liveshelf_fallbacks_total[5m])): shows how the model fails",
    ),
    Objective(
        "storefront",
        "StorefrontErrorsBudgetBurn",
        0.999,
        "the storefront answers without a server error",
        'sum(rate(liveshelf_storefront_requests_total{status=~"5.."}[WINDOW])) or sum(rate(liveshelf_storefront_requests_total[WINDOW])) * 0',
        "sum(rate(liveshelf_storefront_requests_total[WINDOW])) > 0",
        "liveshelf_storefront_requests_total",
        "liveshelf logs storefront -n 100; 503 on /v1/events: the broker does not accept events",
    ),
    Objective(
        "storefront_latency",
        "StorefrontSlowBudgetBurn",
        0.99,
        "the storefront answers within 100 ms",
        'sum(rate(liveshelf_storefront_request_seconds_count{route!~".*/stream"}[WINDOW])) - sum(rate(liveshelf_storefront_request_seconds_bucket{route!~".*/stream",le="0.1"}[WINDOW]))',
        'sum(rate(liveshelf_storefront_request_seconds_count{route!~".*/stream"}[WINDOW])) > 0',
        "liveshelf_storefront_request_seconds_count",
        "liveshelf status; check the machine's CPU; start a second storefront on another port to share the load",
    ),
)

# long window, its half, short window, burn rate, severity: 2 % of the month's budget in an hour, 5 % in 6 hours, 10 % in a
# day or in three
BURNS = (
    ("1h", "30m", "5m", 14.4, "page"),
    ("6h", "3h", "30m", 6.0, "page"),
    ("1d", "12h", "2h", 3.0, "ticket"),
    ("3d", "36h", "6h", 1.0, "ticket"),
)
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


def recorded(objective: Objective, window: str) -> str:
    """Name of the recording rule."""
    return f"liveshelf:{objective.name}_error_ratio:rate{window}"


def burn_alerts(objective: Objective) -> list[Alert]:
    """One alert a severity: either pair of windows raises it."""
    alerts = []
    for severity, hold in (("page", "1m"), ("ticket", "15m")):
        pairs = [
            _pair(objective, long, half, short, rate) for long, half, short, rate, level in BURNS if level == severity
        ]
        alerts.append(
            Alert(
                objective.alert,
                " or ".join(pairs),
                hold,
                severity,
                f"The error budget of {100 * (1 - objective.target):.3g} % burns too fast. Objective: {objective.description}",
                objective.do,
                "symptom",
            )
        )
    return alerts


def _pair(objective: Objective, long: str, half: str, short: str, rate: float) -> str:
    """Fires only when the series is older than half the window: on a new stack one restart would dominate it."""
    limit = f"{rate * (1 - objective.target):.6g}"
    burns = f"{recorded(objective, long)} > {limit} and {recorded(objective, short)} > {limit}"
    return f"({burns} and on () count({objective.series} offset @{half}@))"
