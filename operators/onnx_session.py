"""ONNX Runtime's session of a graph in memory."""

from collections.abc import Sequence
from typing import Any

import onnxruntime as ort

Providers = Sequence[str | tuple[str, dict[str, str]]]


def open_session(graph: bytes, options: ort.SessionOptions, providers: Providers) -> ort.InferenceSession:
    """A session that has read `graph` and nothing else, and does not keep it. Raises what ONNX Runtime raises.

    The graph must be whole (`operators.graph_check`).
    """
    # else bytes that look like ONNX Runtime's own format are read as that, which nobody has checked
    options.add_session_config_entry("session.load_model_format", "ONNX")
    session: Any = ort.InferenceSession(graph, options, providers=providers)
    # it keeps the bytes to start again on the CPU when a device fails later. Hundreds of MB; and a scorer that has gone
    # to the CPU in silence is what `scorer.require_gpu` must never see
    session.disable_fallback()
    session._model_bytes = None
    return session
