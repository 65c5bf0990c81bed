from collections.abc import Callable

import numpy as np
import pytest

from operators.errors import LiveshelfError
from operators.feedback.served_record import (
    MAX_PLACES,
    NO_CLICK,
    SOURCES,
    Served,
    experiments_of,
    low_hash,
    pack_served,
    read_head,
    read_served,
    served_of,
)
from operators.records.contracts import Experiment, ListItem, Model, Reason, RecommendationList, Source
from operators.shopper.features import Vocabulary
from tests.builders import NOW_MS
from tests.operators.feedback.shopper import STATE, served


def same(one: Served, other: Served) -> bool:
    plain = one._replace(items=(), propensities=None, clicks=None) == other._replace(  # type: ignore[arg-type]
        items=(),  # type: ignore[arg-type]
        propensities=None,
        clicks=None,
    )
    return plain and all(
        np.array_equal(a, b) if a is not None and b is not None else a is b
        for a, b in ((one.items, other.items), (one.propensities, other.propensities), (one.clicks, other.clicks))
    )


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("with_propensities", [True, False])
@pytest.mark.parametrize("with_clicks", [True, False])
def test_a_list_comes_back_from_its_bytes(source: Source, with_propensities: bool, with_clicks: bool) -> None:
    propensities = np.array([1, 0.5, 0.25, 0.125], dtype=np.float32) if with_propensities else None
    given = served(
        "r-é",
        source=source,
        propensities=propensities,
        clicks=np.array([0, 512, 10_000, NO_CLICK], dtype=np.uint16) if with_clicks else None,
        experiments=() if with_propensities else served().experiments,
    )
    assert same(read_served(pack_served(given)), given)
    assert read_head(pack_served(given)) == ("r-é", NOW_MS, 5)


def test_a_list_without_items_and_state_comes_back() -> None:
    given = served(items=np.zeros(0, np.uint32), state=b"", model=Model("", ""))
    assert same(read_served(pack_served(given)), given)


def test_the_place_of_an_item_is_found_by_its_hash() -> None:
    assert [served().place_of(item) for item in ("i1", "i4", "i9")] == [0, 3, None]


def test_hashes_are_those_of_the_vocabulary() -> None:
    assert Vocabulary(["i1", "é"]).low_hashes.tolist()[1:] == [low_hash("i1"), low_hash("é")]


def test_a_list_of_its_topic_is_read() -> None:
    shown = RecommendationList(
        recommendation_id="r",
        user_id="u1",
        epoch=3,
        version=9,
        event_time=NOW_MS,
        event_id="e",
        generated_at=NOW_MS + 1,
        model=Model("m", "2"),
        source="neighbours",
        items=[ListItem("i2", 0.5, 1, Reason("popular"), p_click=0.0512), ListItem("i1", 0.4, 2, Reason("popular"))],
        expires_at=NOW_MS + 9,
    )
    made = served_of(shown, STATE)
    assert (made.recommendation_id, made.epoch, made.version, made.generated_at) == ("r", 3, 9, NOW_MS + 1)
    assert (made.source, made.model, made.experiments, made.state) == ("neighbours", Model("m", "2"), (), STATE)
    assert made.place_of("i1") == 1
    assert [made.p_click_at(place) for place in (0, 1)] == [0.0512, None]


def test_a_list_of_twenty_takes_few_bytes() -> None:
    assert len(pack_served(served("0" * 32, *(f"i{n}" for n in range(20))))) - len(STATE) < 160


@pytest.mark.parametrize(
    "spoil", [lambda b: b"", lambda b: b[:20], lambda b: b[:-1], lambda b: b + b"x", lambda b: b"\x09" + b[1:]]
)
def test_other_bytes_are_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(LiveshelfError, match="a list as served"):
        read_served(spoil(pack_served(served())))


def test_other_bytes_have_no_head() -> None:
    with pytest.raises(LiveshelfError, match="a list as served"):
        read_head(b"\x09" * 100)


def test_a_list_that_is_too_long_is_refused() -> None:
    with pytest.raises(LiveshelfError, match="a list of at most"):
        pack_served(served(items=np.ones(MAX_PLACES + 1, np.uint32)))


@pytest.mark.parametrize("names", [(), ("e",), ("mix", "sizes", "é")])
def test_the_experiments_of_a_list_come_back_and_are_found_without_the_rest(names: tuple[str, ...]) -> None:
    given = served("r-é", experiments=tuple(Experiment(name, f"arm of {name}") for name in names))
    assert experiments_of(pack_served(given)) == read_served(pack_served(given)).experiments == given.experiments
