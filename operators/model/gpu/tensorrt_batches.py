"""`scorer.provider = "tensorrt"`: NVIDIA's TensorRT compiles the graph for the GPU; CUDA runs operators without a TensorRT kernel.

Options: ONNX Runtime's page of the TensorRT execution provider. The scorer's golden check decides on each machine
whether the result is served.
"""

import os
from pathlib import Path

import onnxruntime as ort

from operators.configuration.private_folder import cache_folder, private_folder
from operators.model.batch_trimming import Run
from operators.model.gpu.cuda_batches import CUDA, EXACT, DeviceBatches, NotStarted, reason_of
from operators.model.onnx_session import open_session

TENSORRT = "TensorrtExecutionProvider"


def on_tensorrt(
    graph: bytes, options: ort.SessionOptions, window: int, top: int, largest: int, engines_dir: str, graph_sum: str
) -> tuple[ort.InferenceSession, Run, str]:
    """(session, function that runs it, remark for the log).

    Engines take minutes to compile and are kept in `engines_dir` ("": in this user's cache), by graph (`graph_sum`), card and version. An
    engine is code for the card, and it is run as it is found.
    Raises `NotStarted`, and `StackError` where others may write to the folder.
    """
    engines = private_folder(
        Path(engines_dir) if engines_dir else cache_folder("engines"), "scorer.engines_dir", others_may_read=True
    )
    # TensorRT tells engines apart by the form of a graph, not by its weights
    engines = private_folder(engines / graph_sum, "scorer.engines_dir", others_may_read=True)
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")  # TensorRT's products would be TensorFloat-32, as cuDNN's
    providers = [(TENSORRT, engine_options(window, largest, engines)), (CUDA, EXACT)]
    try:
        session = open_session(graph, options, providers)
        if session.get_providers()[0] != TENSORRT:
            raise NotStarted("its libraries were not found")
        return session, DeviceBatches(session, window, top, largest).run, f", engines in {engines}"
    except Exception as error:  # ONNX Runtime raises classes of its own that share no base
        raise NotStarted(reason_of(error)) from error


def engine_options(window: int, largest: int, engines: Path) -> dict[str, str]:
    """One engine for all sizes of micro-batch, in float32, so that lists stay those of a CPU."""

    def shapes(users: int) -> str:
        return f"items:{users}x{window},kinds:{users}x{window},length:{users}"

    return {
        "trt_profile_min_shapes": shapes(1),
        "trt_profile_opt_shapes": shapes(min(128, largest)),
        "trt_profile_max_shapes": shapes(largest),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(engines),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(engines),
        "trt_fp16_enable": "0",
    }
