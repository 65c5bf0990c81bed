"""Values as exports write them, and what is read of each."""

from typing import Any

import pytest

from operators.errors import BadRecord
from operators.records.written_values import Amount, in_ms, read_amount, read_consent, read_id, read_time

MIDNIGHT = 1_569_888_000_000  # 2019-10-01T00:00:00Z


@pytest.mark.parametrize(
    ("value", "meant"),
    [(456, "456"), (456.0, "456"), ("456.0", "456.0"), ("a/b", "a/b"), (-1, "-1"), (0, "0"), (2**70, str(2**70))],
)
def test_an_id_is_text_or_a_whole_number(value: Any, meant: str) -> None:
    assert read_id("item_id", value) == meant


@pytest.mark.parametrize("value", [456.5, None, True, [1], {"id": 1}, 1e300, float(2**53)])
def test_no_id(value: Any) -> None:
    with pytest.raises(BadRecord) as refused:
        read_id("item_id", value)
    assert refused.value.reason == "bad_id"


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("2019-10-01 00:00:00 UTC", MIDNIGHT),
        ("2019-10-01T00:00:00", MIDNIGHT),
        ("2014-04-07T10:51:09.277Z", 1_396_867_869_277),
        ("2019-10-01T02:00:00+02:00", MIDNIGHT),
        ("2019-10-01T02:00:00+0200", MIDNIGHT),
        ("2019-10-01T02:00:00 +02:00", MIDNIGHT),
        ("2019-10-01T02:00:00+02:00[Europe/Paris]", MIDNIGHT),
        ("2019-10-01 02:00:00 +0200 UTC", MIDNIGHT),
        ("2019/10/01 00:00:00", MIDNIGHT),
        ("Tue, 01 Oct 2019 00:00:00 GMT", MIDNIGHT),
        ("1 Oct 2019 02:00 +0200", MIDNIGHT),
        ("201910010000", MIDNIGHT),
        ("20191001000000", MIDNIGHT),
        ("2019-10-01", MIDNIGHT),
        ("20191001", MIDNIGHT),
        (" 2019-10-01T00:00:00Z ", MIDNIGHT),
        ("2019-10-01T00:00:00.1234567Z", MIDNIGHT + 123),
        ("2019-10-01T00:00:00.970000 UTC", MIDNIGHT + 970),
        ("1569888000", MIDNIGHT),
        ("1569888000000", MIDNIGHT),
        ("1569888000.5", MIDNIGHT + 500),
        ("1712011512000", 1_712_011_512_000),
        (1569888000.5, MIDNIGHT + 500),
        (1569888000000.0, MIDNIGHT),
    ],
)
def test_times(value: Any, meant: int) -> None:
    assert read_time(value) == meant


@pytest.mark.parametrize(
    ("count", "meant"),
    [
        (1_569_888_000, MIDNIGHT),
        (1_569_888_000_000, MIDNIGHT),
        (1_569_888_000_123_456, MIDNIGHT + 123),
        (1_569_888_000_123_456_789, MIDNIGHT + 123),
        (20_191_001, MIDNIGHT),
        (201_910_010_000, MIDNIGHT),
        (20_191_001_000_000, MIDNIGHT),
        (978_300_760, 978_300_760_000),
        (874_724_710_000, 874_724_710_000),
        (86_400_000, 86_400_000),
        (-1, -1),
    ],
)
def test_the_unit_of_a_count_is_told_by_its_size(count: int, meant: int) -> None:
    assert in_ms(count) == meant


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("01/12/2010 08:26", "day and month are not told apart"),
        ("29-01-2021 07:01", "day and month are not told apart"),
        ("2016-12-31T23:59:60Z", "a leap second"),
        ("Tue, 32 Oct 2019 00:00:00 GMT", "'Tue, 32 Oct 2019 00:00:00 GMT'"),
        ("2019-02-30 UTC", "'2019-02-30 UTC'"),
        ("", "0 characters"),
        (None, "null"),
        ("yesterday", "'yesterday'"),
        ("9" * 100, "100 characters"),
    ],
)
def test_no_time_and_why(value: Any, said: str) -> None:
    with pytest.raises(BadRecord, match="ISO 8601") as refused:
        read_time(value)
    assert refused.value.reason == "bad_event_time" and said in refused.value.came


@pytest.mark.parametrize(
    ("value", "number", "currency"),
    [
        ("12.50", 12.5, None),
        ("12,50 €", 12.5, "EUR"),
        ("€12.50", 12.5, "EUR"),
        ("-£3.5", -3.5, "GBP"),
        ("− 3,5", -3.5, None),
        ("$ 7", 7.0, None),
        ("12,50 kr", 12.5, None),
        ("USD 1,234.50", 1234.5, "USD"),
        ("1,234,567.00 USD", 1_234_567.0, "USD"),
        ("1.234,50", 1234.5, None),
        ("1.234.567", 1_234_567.0, None),
        ("1 234,50 EUR", 1234.5, "EUR"),
        ("1\u202f234", 1234.0, None),
        ("1'234.50 CHF", 1234.5, "CHF"),
        ("1,23,456.00", 123_456.0, None),
        ("12,- €", 12.0, "EUR"),
        ("12.50-", -12.5, None),
        ("1.234,50- €", -1234.5, "EUR"),
        ("$.99", 0.99, None),
        ("US$ 5", 5.0, "USD"),
        ("12,50 Euro", 12.5, "EUR"),
        ("Rs. 500", 500.0, None),
        ("Fr.12.50", 12.5, None),
        ("0.125", 0.125, None),
        ("12345,678", 12345.678, None),
        (3, 3.0, None),
    ],
)
def test_amounts(value: Any, number: float, currency: str | None) -> None:
    assert read_amount("price", value) == Amount(number, currency)


@pytest.mark.parametrize(
    "value",
    [
        "1,234",
        "1.234",
        "cheap",
        "NaN",
        "inf",
        "",
        " ",
        "12.50.10",
        "1,2,3",
        "12 pieces",
        "12 EUR or 13 USD",
        "9" * 100,
        "12-",
        "12.50-15",
    ],
)
def test_an_amount_with_two_meanings_or_none_is_refused(value: str) -> None:
    with pytest.raises(BadRecord) as refused:
        read_amount("price", value)
    assert refused.value.reason == "bad_amount"


@pytest.mark.parametrize(
    ("value", "meant"),
    [(value, "denied") for value in ("DENIED", " refused ", "False", "no", "off", "0", False, 0, 0.0)]
    + [(value, "granted") for value in ("Granted", "allowed", "TRUE", "yes", "on", "1", True, 1, 1.0)],
)
def test_a_clear_yes_or_no(value: Any, meant: str) -> None:
    assert read_consent(value) == meant


@pytest.mark.parametrize("value", [None, "", "maybe", "not denied", 2, -1, 0.5, [], {"denied": True}])
def test_nothing_else_is_a_consent(value: Any) -> None:
    with pytest.raises(BadRecord) as refused:
        read_consent(value)
    assert refused.value.reason == "bad_consent"
