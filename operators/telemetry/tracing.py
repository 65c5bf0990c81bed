"""Traces of sampled events, over OTLP (extra `tracing`): one span a stage, as children of the event's own span.

Spans are made when a list goes out, from the moments that the metrics need anyway: an event without a sampled
`traceparent` costs one comparison. The sampled flag is the client's wish: whoever can publish an event can set it.
So only `tracing.max_traces_per_s` are recorded in each process, as the standard advises (W3C Trace Context, "Denial of
service"); the flag itself goes on with the list unchanged.
"""

import logging
from typing import Any

from operators.errors import SettingsError
from operators.records.trace_context import parse_traceparent
from operators.settings import TracingSettings
from operators.telemetry.timeline import STAGES, Timeline
from operators.telemetry.token_buckets import TokenBuckets

log = logging.getLogger(__name__)


class Tracer:
    """Sends spans in the background; `close` sends what is left."""

    def __init__(self, settings: TracingSettings, service: str) -> None:
        """Raises `SettingsError` where the extra is not installed."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise SettingsError(
                "the extra `tracing` where tracing.otlp_endpoint is set",
                "no opentelemetry-sdk",
                "pip install 'liveshelf[tracing]', or leave tracing.otlp_endpoint empty",
            ) from error
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=settings.otlp_endpoint, timeout=5)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
        self._tracer = self._provider.get_tracer("liveshelf")
        rate = settings.max_traces_per_s
        self._allowed = TokenBuckets(rate, rate) if rate else None

    def listed(self, traceparent: str, line: Timeline) -> None:
        """A list of a sampled event: the span `list` from event to emission, and in it one for each stage."""
        parent = self._context(traceparent)
        if parent is None:
            return
        from opentelemetry.trace import set_span_in_context

        whole = self._tracer.start_span("list", parent, start_time=_ns(line.event))
        inside = set_span_in_context(whole)
        for stage, started, ended in zip(STAGES, line[:-1], line[1:], strict=True):
            self._tracer.start_span(stage, inside, start_time=_ns(started)).end(_ns(max(started, ended)))
        whole.end(_ns(line.emitted))

    def readable(self, traceparent: str, generated_s: float, now_s: float) -> None:
        """The list of a sampled event can be read: the span `deliver`, from `generated_s` to `now_s` (epoch s)."""
        parent = self._context(traceparent)
        if parent is not None:
            self._tracer.start_span("deliver", parent, start_time=_ns(generated_s)).end(_ns(max(generated_s, now_s)))

    def _context(self, traceparent: str) -> Any:
        """The parent of a span; None if the trace is not recorded."""
        trace = parse_traceparent(traceparent)
        if trace is None or not trace.sampled or self._allowed is None or self._allowed.wait_s("") > 0:
            return None
        from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

        remote = SpanContext(int(trace.trace_id, 16), int(trace.span_id, 16), True, TraceFlags(1))
        return set_span_in_context(NonRecordingSpan(remote))

    def close(self) -> None:
        """Sends what waits."""
        self._provider.shutdown()


def _ns(epoch_s: float) -> int:
    return int(epoch_s * 1e9)
