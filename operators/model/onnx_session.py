"""ONNX Runtime's session of a graph in memory."""

from collections.abc import Sequence
from typing import Any

import onnxruntime as ort

from operators.errors import BundleError

Providers = Sequence[str | tuple[str, dict[str, str]]]


def open_session(graph: bytes, options: ort.SessionOptions, providers: Providers) -> ort.InferenceSession:
    """A session that has read `graph` and nothing else, and does not keep it. Raises what ONNX Runtime raises.

    The graph must be whole (`operators.model.graph_check`). `get_providers` of the session tells which provider runs it:
    ONNX Runtime skips a provider whose libraries it does not find.
    """
    # else bytes in ONNX Runtime's own format would be loaded, which `graph_check` cannot verify
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # else it goes to the CPU by itself when a device fails, now or later, and prints why instead of raising it. A scorer that
    # is on the CPU in silence is what `scorer.require_gpu` must never see
    session: Any = ort.InferenceSession(graph, options, providers=providers, enable_fallback=0)
    session._model_bytes = None  # hundreds of MB, kept for that
    return session


def signature(session: ort.InferenceSession) -> tuple[dict[str, str], list[str]]:
    """The graph's inputs with their types, and the names of its outputs. Raises `BundleError`: a graph may hold any bytes for
    a name."""
    try:
        return {node.name: node.type for node in session.get_inputs()}, [node.name for node in session.get_outputs()]
    except UnicodeDecodeError as error:
        raise BundleError(
            "a graph whose names are UTF-8", str(error), "export the bundle again with `liveshelf train`"
        ) from error
