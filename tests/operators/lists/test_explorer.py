"""One place of some lists explores: how often, what, and with which probability."""

from collections import defaultdict
from typing import Any

import numpy as np
import pytest

from operators.configuration.shop_settings import ExplorationSettings, ListSettings
from operators.exploration.pool import Newcomer, Pool
from operators.exploration.thompson import chances, fitted_prior
from operators.lists.catalogue import Catalogue
from operators.lists.exploring.explored import Explored
from operators.lists.exploring.explorer import Candidates, Explorer
from operators.lists.ranker import Ranked, Ranker
from operators.lists.request import Request
from operators.model.unit_rows import unit_rows
from operators.records.contracts import CatalogueItem
from operators.shopper.features import Vocabulary
from operators.shopper.state_layout import read_states
from tests.builders import NOW_MS, event, state_after, viewed

ITEMS, SIZE = 12, 5
WORDS = Vocabulary([f"i{n}" for n in range(1, ITEMS + 1)])
ANGLES = np.linspace(0, 3, ITEMS + 1)
VECTORS = unit_rows(np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32))
MANY = 40_000


def pool(*newcomers: Newcomer, untouched: float = 0.0, **known: float) -> Pool:
    """`known`: chances by item, such as i7=0.5."""
    rows = np.array([WORDS.row(item) for item in known], dtype="<i4")
    return Pool(untouched, rows.tobytes(), np.array([*known.values()], dtype="<f4").tobytes(), newcomers)


def new(name: str, chance: float, *likes: int, **codes: str) -> Newcomer:
    return Newcomer(name, chance, likes, **codes)


class Shop:
    """Lists of 5 of 12 items, which all shoppers have in the order of their rows."""

    def __init__(self, explored: Pool | None, rules: dict[str, Any] | None = None, **exploration: float) -> None:
        settings = ExplorationSettings(enabled=True, **{"share": 0.1, "first_position": 2} | exploration)
        self.rules, self.pool = ListSettings(size=SIZE, **rules or {}), explored
        self.catalogue = Catalogue(WORDS, 0.5)
        self.ranker = Ranker(WORDS, VECTORS, self.rules, with_others=True)
        self.explorer = Explorer(settings, self.rules, self.ranker, self.catalogue, lambda: self.pool)

    def explore(self, states: list[bytes], names: list[str] | None = None) -> tuple[Ranked, Explored]:
        users, packed = len(states), read_states(states)
        rows = np.tile(np.arange(1, ITEMS + 1, dtype=np.int32), (users, 1))
        scores = np.tile(np.linspace(3, 1, ITEMS, dtype=np.float32), (users, 1))
        codes = self.catalogue.categories.by_row, self.catalogue.brands.by_row
        ranked = self.ranker.rank(rows, scores, packed, self.catalogue.allowed(NOW_MS), *codes)
        asked = [Request(name, b"", NOW_MS) for name in names or [f"u{n}" for n in range(users)]]
        ready = ranked.rows[:, -1] > 0
        return ranked, self.explorer.explore(asked, Candidates(rows, scores, packed), ranked, ready)

    def lists(self, states: list[bytes], names: list[str] | None = None) -> list[list[str]]:
        ranked, explored = self.explore(states, names)
        made = [[f"i{row}" for row in of_list] for of_list in ranked.rows.tolist()]
        for cell, row, name in cells(explored):
            made[cell[0]][cell[1]] = name or f"i{row}"
        return made

    def shown(self, state: bytes, count: int = 3000) -> set[str]:
        """What so many shoppers of one state are shown."""
        return {item for made in self.lists([state] * count) for item in made}


def cells(explored: Explored) -> list[tuple[tuple[int, int], int, str]]:
    names = [""] * explored.names_from + explored.names
    places = zip(explored.drawn.lists.tolist(), explored.at.tolist(), strict=True)
    return [*zip(places, explored.drawn.rows.tolist(), names, strict=True)]


TWO_KINDS = pool(new("n1", 0.6, 2), new("n2", 0.2, 9, 11), new("n3", 0.9), i7=0.5, i9=0.25, i12=0.05, i3=0.9)


def test_each_item_is_shown_as_often_as_its_propensity_says() -> None:
    ranked, explored = Shop(TWO_KINDS).explore([viewed("i1")] * MANY)
    propensities, said = explored.propensities(SIZE), defaultdict[tuple[int, str], set[float]](set)
    listed = [[f"i{row}" for row in of_list] for of_list in ranked.rows.tolist()]
    for (of_list, place), row, name in cells(explored):
        listed[of_list][place] = name or f"i{row}"
    seen = defaultdict[tuple[int, str], int](int)
    for items, of_list in zip(listed, propensities.tolist(), strict=True):
        for place, (item, propensity) in enumerate(zip(items, of_list, strict=True)):
            seen[place, item] += 1
            said[place, item].add(propensity)
    for cell, count in seen.items():
        (propensity,) = said[cell]
        assert abs(count / MANY - propensity) <= 4.5 * np.sqrt(propensity * (1 - propensity) / MANY) + 1e-9, cell
    for place in range(SIZE):
        assert sum(*of_place(said, place)) == pytest.approx(1, abs=1e-5)
    assert [*said[1, "n1"]] == [pytest.approx(0.5 / 4 * 0.5 * 0.6 / 0.8)]
    assert [*said[4, "i9"]] == [pytest.approx(0.5 / 4 * 0.5 * 0.25 / 0.8)]
    assert not {item for _, item in seen} & {"n3", "i6", "i8"}, "no like, and no chance"


def of_place(said: dict[tuple[int, str], set[float]], place: int) -> list[list[float]]:
    return [[value for (at, _), values in said.items() if at == place for value in values]]


@pytest.mark.parametrize(("share", "first_position"), [(0.05, 2), (0.1, 1), (0.2, 3), (0.02, 5)])
def test_the_budget_is_kept_and_the_first_places_stay(share: float, first_position: int) -> None:
    shop = Shop(TWO_KINDS, share=share, first_position=first_position)
    _, explored = shop.explore([viewed("i1")] * MANY)
    lists = share * SIZE
    assert abs(len(explored.at) / MANY - lists) <= 4.5 * np.sqrt(lists * (1 - lists) / MANY)
    assert len({*explored.drawn.lists.tolist()}) == len(explored.at), "one place of a list"
    assert {*explored.at.tolist()} == {*range(first_position - 1, SIZE)}


def test_no_list_has_an_item_twice() -> None:
    states = [viewed(f"i{n % ITEMS + 1}") for n in range(2000)]
    lists = Shop(pool(new("n1", 0.5, 1), untouched=0.3)).lists(states)
    assert all(len({*made}) == SIZE for made in lists)
    assert {item for made in lists for item in made} == {"n1", *WORDS.item_ids}


def test_a_list_is_the_same_alone_in_any_batch_and_again() -> None:
    shop = Shop(TWO_KINDS)
    states = [
        viewed("i9"),
        state_after(event(0, "purchase", items=["i7", "n1"])),
        viewed("i5", "i2"),
        viewed("i1"),
    ] * 20
    names = [f"user{n}" for n in range(len(states))]
    together = shop.lists(states, names)
    assert together == [shop.lists([state], [name])[0] for state, name in zip(states, names, strict=True)]
    assert together[::-1] == Shop(TWO_KINDS).lists(states[::-1], names[::-1])
    assert together != shop.lists(states, [f"other{n}" for n in range(len(states))])


def test_another_version_draws_again() -> None:
    shop, names = Shop(TWO_KINDS), [f"u{n}" for n in range(200)]
    assert shop.lists([viewed("i1")] * 200, names) != shop.lists([viewed("i1", "i1")] * 200, names)


@pytest.mark.parametrize(
    "state",
    [
        state_after(event(0, "purchase", items=["n1", "i7"])),
        state_after(event(0, "add_to_cart", item_id="n1"), event(1, "add_to_cart", item_id="i7")),
        state_after(event(0, "rate", item_id="n1", rating=1), event(1, "rate", item_id="i7", rating=1)),
        state_after(*[event(n, "impression", items=["n1", "i7"]) for n in range(6)], event(9, item_id="i1")),
    ],
    ids=["bought", "in the basket", "rated low", "shown often"],
)
def test_the_rules_hold_for_what_is_explored(state: bytes) -> None:
    shop = Shop(pool(new("n1", 0.9, 2), new("n2", 0.1, 2), i7=0.9, i8=0.1))
    assert {"n1", "n2", "i7", "i8"} <= shop.shown(viewed("i1"))
    shown = shop.shown(state)
    assert {"n2", "i8"} <= shown and not {"n1", "i7"} & shown


def test_what_is_not_offered_is_not_explored_either() -> None:
    shop = Shop(pool(i7=0.9, i8=0.1))
    shop.catalogue.changed("i7", CatalogueItem(item_id="i7", in_stock=False))
    assert "i7" not in shop.shown(viewed("i1")) and "i8" in shop.shown(viewed("i1"))


def test_the_caps_hold() -> None:
    shop = Shop(
        pool(new("n1", 0.5, 1, category="full"), new("n2", 0.5, 1, category="rare"), i7=0.5, i8=0.5),
        {"max_per_category": 2},
    )
    for item, category in (("i1", "full"), ("i2", "full"), ("i3", "rare"), ("i7", "full")):
        shop.catalogue.changed(item, CatalogueItem(item_id=item, category=category))
    for n in range(4, ITEMS + 1):
        if n != 7:
            shop.catalogue.changed(f"i{n}", CatalogueItem(item_id=f"i{n}"))
    shown = shop.shown(viewed("i9"))
    assert {"n2", "i8"} <= shown and not {"n1", "i7"} & shown


def test_with_one_kind_only_it_has_all_places_that_explore() -> None:
    for of_kind in (pool(new("n1", 1e-6, 2)), pool(i7=1e-6)):
        _, explored = Shop(of_kind, share=0.2).explore([viewed("i1")] * 500)
        assert len(explored.at) == 500 and bool(explored.names) == bool(of_kind.newcomers)


def test_where_nothing_suits_the_lists_stay_and_are_certain() -> None:
    for nothing in (None, pool(), pool(new("n1", 1.0)), pool(i1=1.0)):
        shop = Shop(nothing)
        _, explored = shop.explore([viewed("i9")] * 300)
        assert not len(explored.at) and (explored.propensities(SIZE) == 1).all()


def test_a_newcomer_has_the_first_candidate_that_it_likes_as_its_reason() -> None:
    _, explored = Shop(pool(new("n1", 1.0, 11, 4)), share=0.2).explore([viewed("i1")] * 50)
    assert {*explored.drawn.likes.tolist()} == {4} and {*explored.names} == {"n1"}
    assert {*explored.drawn.lows.tolist()} == {Vocabulary(["n1"]).low_hashes[1]}


def test_many_newcomers_are_told_apart() -> None:
    crowd = pool(*[new(f"n{n}", 1.0 if n in (63, 64, 199) else 1e-6, 1 + n % ITEMS) for n in range(200)])
    _, explored = Shop(crowd, share=0.2).explore([viewed("i1")] * 3000)
    counts = {name: explored.names.count(name) for name in {*explored.names}}
    assert all(abs(counts[f"n{n}"] / 3000 - 1 / 3) < 0.05 for n in (63, 64, 199))


def test_a_good_newcomer_gains_places_and_bad_ones_lose_them() -> None:
    rates = np.array([0.02, 0.01, 0.15, 0.02, 0.03])
    impressions, clicks, generator = np.zeros(5), np.zeros(5), np.random.default_rng(3)
    shares = []
    for step in range(60):
        chance = chances(impressions, clicks, fitted_prior(impressions, clicks))
        shop = Shop(pool(*[new(f"n{n}", float(chance[n]), 1 + n) for n in range(5)]), share=0.2)
        _, explored = shop.explore([viewed("i1")] * 50, [f"u{step}-{n}" for n in range(50)])
        shown = np.bincount([int(name[1:]) for name in explored.names], minlength=5)
        impressions += shown
        clicks += generator.binomial(shown, rates)
        shares.append(shown / shown.sum())
    assert shares[0].max() < 0.5, "nobody knows at first"
    assert np.mean(shares[-10:], axis=0)[2] > 0.85
    regret = float((impressions * (rates.max() - rates)).sum())
    uniform = float(impressions.sum() * (rates.max() - rates.mean()))
    assert regret < 0.35 * uniform
