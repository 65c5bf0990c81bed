import json
from pathlib import Path

from operators.records.contracts import CATALOGUE, EVENTS, CatalogueItem, encode_record
from pipelines.reports.data_profile import profile
from pipelines.reports.profile_page import render
from tests.bad_records import good_event
from tests.builders import NOW_MS


def event(number: int, **fields) -> tuple[str, bytes, int]:
    body = good_event(NOW_MS, event_id=f"e{number}", user_id=f"u{number % 3}", item_id="i1", **fields)
    return "", json.dumps(body).encode(), NOW_MS


ITEMS = [("i1", encode_record(CatalogueItem(item_id="i1", title="Mug", price=5.0, currency="GBP", category=["Home"])))]


def test_a_profile_counts_and_keeps_examples_without_users() -> None:
    records = [event(n, price=5.0, currency="GBP") for n in range(20)]
    records += [event(100, price=500.0, currency="GBP"), event(0), ("", b"{", NOW_MS)]
    result = profile("a file", records, ITEMS)
    assert (result.records, result.valid, result.types["view"], result.catalogue_items) == (23, 22, 22, 1)
    assert result.failed[EVENTS, "price_agrees"] == 1
    assert result.failed[EVENTS, "unique"] == 1
    assert result.failed[EVENTS, "valid"] == 1
    assert result.examples[EVENTS, "price_agrees"] == ["view of i1 at 500.0 GBP"]
    assert result.checked[CATALOGUE, "valid"] == 1
    assert result.categories == {"Home": 22}


def test_the_page_holds_its_plots_and_is_escaped(tmp_path: Path) -> None:
    records = [event(n, price=5.0 + n, currency="GBP") for n in range(20)]
    page = render(profile("<script>", records, ITEMS))
    assert page.count("<svg") >= 4
    assert "<script>" not in page
    assert "shop.events.v1" in page


def test_nothing_is_a_page_too() -> None:
    assert "no events" in render(profile("nothing", [], []))
