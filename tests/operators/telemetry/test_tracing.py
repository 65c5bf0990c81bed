"""Spans as a collector gets them over OTLP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from operators.settings import TracingSettings
from operators.telemetry.timeline import STAGES, Timeline
from operators.telemetry.tracing import Tracer

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
LINE = Timeline(10.0, 10.004, 10.009, 10.0091, 10.011, 10.0125, 10.0133, 10.015)


@contextmanager
def running_collector() -> Iterator[tuple[str, list]]:
    """An OTLP collector: its address, and the spans that it got."""
    spans: list = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", spans
    server.shutdown()
    server.server_close()


@pytest.fixture
def collector() -> Iterator[tuple[str, list]]:
    with running_collector() as running:
        yield running


def test_a_sampled_event_becomes_a_span_with_one_child_a_stage(collector: tuple[str, list]) -> None:
    address, spans = collector
    tracer = Tracer(TracingSettings(otlp_endpoint=address), "test")
    tracer.listed(f"00-{TRACE}-{SPAN}-01", LINE)
    tracer.readable(f"00-{TRACE}-{SPAN}-01", 10.015, 10.02)
    tracer.listed(f"00-{TRACE}-{SPAN}-00", LINE)
    tracer.listed("rubbish", LINE)
    tracer.close()
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    named = {span.name: span for span in spans}
    assert set(named) == {"list", "deliver", *STAGES} and len(spans) == len(STAGES) + 2
    assert named["list"].parent_span_id.hex() == SPAN
    assert all(named[stage].parent_span_id == named["list"].span_id for stage in STAGES)
    covered = sum(span.end_time_unix_nano - span.start_time_unix_nano for name, span in named.items() if name in STAGES)
    whole = named["list"].end_time_unix_nano - named["list"].start_time_unix_nano
    assert abs(covered - whole) < 1e4  # ns of float


def test_a_client_cannot_force_more_traces_than_the_setting(collector: tuple[str, list]) -> None:
    address, spans = collector
    for rate, most in ((5.0, 5), (0.0, 0)):
        spans.clear()
        tracer = Tracer(TracingSettings(otlp_endpoint=address, max_traces_per_s=rate), "test")
        for number in range(1000):
            tracer.readable(f"00-{TRACE}-{number + 1:016x}-01", 10.0, 10.1)
        tracer.close()
        assert most <= len(spans) <= most * 2, "a token or two more while they are made"
