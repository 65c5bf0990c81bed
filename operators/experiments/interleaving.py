"""Team-draft interleaving: two rankings compared within one list, of which each shopper sees parts of both.

Radlinski, Kurup, Joachims, "How Does Clickthrough Data Reflect Retrieval Quality?" (CIKM 2008). It finds the better ranking
with far fewer shoppers than arms do, but says nothing about how much better it is.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from operators.experiments.statistics.confidence_sequence import MIN_USERS, sequence
from operators.experiments.statistics.moments import Moments

Team = Literal["first", "second"]
PREFERENCE = 0.1  # the preference that the interval is narrowest for


@dataclass(frozen=True)
class Drafted:
    """A place of the list. `team`: whose choice it is; None where only one ranking had items left, which earns no credit."""

    item_id: str
    team: Team | None


@dataclass(frozen=True)
class Credit:
    """Clicks of one list by team."""

    user_id: str
    first: int
    second: int


@dataclass(frozen=True)
class Preference:
    """`estimate`: lists won by the second ranking minus lists won by the first, by lists with a credited click: -1 to 1.

    `interval` and `p` hold however often one looks.
    """

    estimate: float
    interval: tuple[float, float]
    p: float
    users: int
    lists: int
    won_by_first: int
    won_by_second: int
    verdict: str


def team_draft(first: Sequence[str], second: Sequence[str], size: int, rng: random.Random) -> list[Drafted]:
    """A list of up to `size` items, each once. `rng`: seed it with the list's id, so that the same list is drafted again."""
    rankings: dict[Team, Sequence[str]] = {"first": first, "second": second}
    picks: dict[Team, int] = {"first": 0, "second": 0}
    drafted, taken = list[Drafted](), set[str]()
    while len(drafted) < size:
        left = {team: item for team, ranking in rankings.items() if (item := _next_item(ranking, taken)) is not None}
        if not left:
            break
        if len(left) == 1:
            _withdraw_unmatched(drafted, picks)
            (item,) = left.values()
            drafted.append(Drafted(item, None))
        else:
            team = _next_team(picks, rng)
            item = left[team]
            drafted.append(Drafted(item, team))
            picks[team] += 1
        taken.add(item)
    return drafted


def _next_item(ranking: Sequence[str], taken: set[str]) -> str | None:
    return next((item for item in ranking if item not in taken), None)


def _withdraw_unmatched(drafted: list[Drafted], picks: dict[Team, int]) -> None:
    """Takes the credit of a pick that the other ranking could not answer: it would favour the longer ranking."""
    if picks["first"] != picks["second"]:
        drafted[-1] = Drafted(drafted[-1].item_id, None)
        picks["first"] = picks["second"] = min(picks.values())


def _next_team(picks: dict[Team, int], rng: random.Random) -> Team:
    if picks["first"] != picks["second"]:
        return "first" if picks["first"] < picks["second"] else "second"
    return "first" if rng.random() < 0.5 else "second"


def credit(user_id: str, drafted: Sequence[Drafted], clicked: Iterable[str]) -> Credit:
    """Whose items were clicked. An item counts once."""
    items = {*clicked}
    teams = [place.team for place in drafted if place.item_id in items]
    return Credit(user_id, teams.count("first"), teams.count("second"))


def preference(credits: Iterable[Credit], level: float = 0.95) -> Preference:
    """Which ranking shoppers click more. Lists without a credited click count nothing."""
    totals: dict[str, list[int]] = {}
    wins = {-1: 0, 0: 0, 1: 0}
    for one in credits:
        if one.first or one.second:
            outcome = (one.second > one.first) - (one.second < one.first)
            wins[outcome] += 1
            of_user = totals.setdefault(one.user_id, [0, 0])
            of_user[0] += 1
            of_user[1] += outcome
    rows = np.array([*totals.values()], dtype=np.float64).reshape(-1, 2)
    moments = Moments.of(rows[:, 0], rows[:, 1])
    enough = moments.effective_users >= MIN_USERS
    # at least the variance of equal rankings: where one wins every list, the wins alone have none
    variance = np.maximum(moments.variance, moments.variance_about(np.asarray(0.0)))
    found = sequence(moments.rate, variance, np.asarray(PREFERENCE), 1 - level, (-1.0, 1.0), enough)
    low, high = float(found.low), float(found.high)
    return Preference(
        float(found.estimate),
        (low, high),
        float(found.p),
        users=len(rows),
        lists=sum(wins.values()),
        won_by_first=wins[-1],
        won_by_second=wins[1],
        verdict=_verdict(low, high),
    )


def _verdict(low: float, high: float) -> str:
    if low > 0:
        return "the second ranking is preferred"
    return "the first ranking is preferred" if high < 0 else "no preference is shown so far"
