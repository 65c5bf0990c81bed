import pytest

from operators.trace_context import parse_traceparent, sampled_trace

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_sampled_trace() -> None:
    found = parse_traceparent(f"00-{TRACE}-00f067aa0ba902b7-01")
    assert found is not None and found == (TRACE, "00f067aa0ba902b7", True)
    assert sampled_trace(f"00-{TRACE}-00f067aa0ba902b7-01") == TRACE
    assert sampled_trace(f"00-{TRACE}-00f067aa0ba902b7-00") is None


@pytest.mark.parametrize(
    "text", [None, "", "x", f"ff-{TRACE}-00f067aa0ba902b7-01", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}-{'0' * 16}-01"]
)  # fmt: skip
def test_what_is_no_trace_costs_nothing(text: str | None) -> None:
    assert parse_traceparent(text) is None
