"""The report of the gate: a line for each check. JSON-able by msgspec."""

from collections.abc import Sequence

import msgspec

from operators.errors import LiveshelfError

Interval = tuple[float, float]
RETRAIN = "keep the champion and train the candidate again, on more or newer events"


class Line(msgspec.Struct, frozen=True):
    """One check. `value`, `champion` and `limit` are in one unit; None where there is no number. `warning`: it failed, and
    does not refuse the candidate, which is proven better.

    `why`: one sentence with what was expected, what came and, of a line that failed, what to do next.
    `interval`: 95 %, of the candidate's value minus the champion's (of `popularity`: minus the popular list's).
    """

    name: str
    passed: bool
    why: str
    value: float | None = None
    champion: float | None = None
    limit: float | None = None
    interval: Interval | None = None
    warning: bool = False


class Subject(msgspec.Struct, frozen=True):
    """A bundle that was judged. The sum of its manifest, which holds the sums of its files, names its bytes."""

    label: str
    manifest_sha256: str


class Window(msgspec.Struct, frozen=True):
    """The events that questions were asked of. `to_ms`: the time of the newest question."""

    file: str
    from_ms: int
    to_ms: int
    questions: int
    users: int


class ScoreShares(msgspec.Struct, frozen=True):
    """The best scores of all users: inner edges and the share of each bin."""

    edges: list[float]
    candidate: list[float]
    champion: list[float]


class Distributions(msgspec.Struct, frozen=True):
    """What the page draws. `overlap`: questions by number of shared items; `*_ms`: CPU ms of each micro-batch."""

    overlap: list[int] = []
    scores: ScoreShares | None = None
    candidate_ms: list[float] = []
    champion_ms: list[float] = []


class GateReport(msgspec.Struct, frozen=True):
    """The verdict on a candidate. `passed`: each line passed or only warns. `champion`: None where there was none to compare with."""

    candidate: Subject
    champion: Subject | None
    passed: bool
    lines: list[Line]
    remarks: list[str]
    seed: int
    windows: list[Window] = []
    distributions: Distributions = Distributions()

    @property
    def failed(self) -> list[Line]:
        """The lines that refuse the candidate."""
        return [line for line in self.lines if not line.passed and not line.warning]

    @property
    def warnings(self) -> list[Line]:
        """The lines that failed and do not refuse the candidate."""
        return [line for line in self.lines if line.warning]


def judged(
    name: str,
    passed: bool,
    expected: str,
    came: str,
    fix: str,
    *,
    value: float | None = None,
    champion: float | None = None,
    limit: float | None = None,
    interval: Interval | None = None,
) -> Line:
    """A line whose sentence is made as an error's. `fix` is said only where it failed."""
    why = f"expected {expected}; came {came}." + ("" if passed else f" Next: {fix}.")
    ends = None if interval is None else (round(interval[0], 6), round(interval[1], 6))
    return Line(name, passed, why, _rounded(value), _rounded(champion), _rounded(limit), ends)


def as_warnings(lines: Sequence[Line]) -> list[Line]:
    """Those of the lines that failed become warnings."""
    return [line if line.passed else msgspec.structs.replace(line, warning=True) for line in lines]


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(float(number), 6)


def refused(name: str, error: LiveshelfError) -> Line:
    """The line of a check that raised."""
    return judged(name, False, error.expected, error.came, error.fix)


def shown(number: float | None) -> str:
    """A number of a line, for people."""
    if number is None:
        return ""
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:.4g}"
