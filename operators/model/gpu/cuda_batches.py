"""Micro-batches on a CUDA device, padded to a few sizes with fixed buffers.

Scoring allocates nothing. ONNX Runtime records the kernel launches of each size once, as a CUDA graph, and replays them:
one launch instead of dozens.
"""

import contextlib
import io
import os
import re

import numpy as np
import onnxruntime as ort

from operators.model.batch_trimming import Answers, Run
from operators.model.onnx_session import open_session
from operators.shopper.features import Rows

CUDA = "CUDAExecutionProvider"
SIZES = (8, 32, 128, 512, 2048)
# float32 as on CPUs: with TensorFloat-32 a list would depend on the machine, and golden scores be missed by their tolerance
EXACT = {"use_tf32": "0"}
_words = re.compile(r"\w+ failure \d+: [^;]*|Please install .*")


class NotStarted(RuntimeError):
    """The chosen provider cannot run the graph; the text says why. Another provider may."""


def reason_of(error: Exception) -> str:
    """The text of the driver; ONNX Runtime puts a page of C++ before it."""
    words = _words.search(str(error))
    return (words[0].strip() if words else str(error))[:200]


def on_cuda(
    graph: bytes, options: ort.SessionOptions, window: int, top: int, largest: int, *, recorded: bool = True
) -> tuple[ort.InferenceSession, Run, str]:
    """(session, function that runs it, remark for the log).

    `top` scores a user, `largest` users in a micro-batch. If the launches cannot be recorded, the graph
    runs without that, and the remark says why. Raises `NotStarted`.
    """
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")  # cuDNN's GRU obeys no other switch
    with contextlib.redirect_stdout(io.StringIO()):  # it prints missing libraries, and the session reports them anyway
        ort.preload_dlls()  # from NVIDIA's packages, if the system has none
    remark = ""
    if recorded:
        try:
            return *_opened(graph, options, window, top, largest, "1"), ", launches recorded as CUDA graphs"
        except Exception as error:  # ONNX Runtime raises classes of its own that share no base
            remark = f", without CUDA graphs: {reason_of(error)}"
    try:
        return *_opened(graph, options, window, top, largest, "0"), remark
    except Exception as error:  # as above
        raise NotStarted(reason_of(error)) from error


def _opened(
    graph: bytes, options: ort.SessionOptions, window: int, top: int, largest: int, recorded: str
) -> tuple[ort.InferenceSession, Run]:
    session = open_session(graph, options, [(CUDA, EXACT | {"enable_cuda_graph": recorded})])
    if session.get_providers()[0] != CUDA:
        raise NotStarted("its libraries were not found")
    return session, DeviceBatches(session, window, top, largest).run


class DeviceBatches:
    """A session bound to buffers of a few sizes. One thread owns it."""

    def __init__(
        self, session: ort.InferenceSession, window: int, top: int, largest: int, device: str = "cuda"
    ) -> None:
        """Runs each size once, so that the first lists need no warm-up."""
        sizes = [size for size in SIZES if size < largest] + [largest]
        self._bound = [_Bound(session, number, size, window, top, device) for number, size in enumerate(sizes)]
        self._largest = largest

    def run(self, inputs: dict[str, Rows]) -> Answers:
        """The graph's outputs, scores float32 [B, K] and rows int32 [B, K] first, of `items`, `kinds` [B, window] and
        `length` [B]."""
        users = len(inputs["length"])
        if users <= self._largest:
            return next(bound for bound in self._bound if users <= bound.size).run(inputs)
        parts = range(0, users, self._largest)
        answers = [self.run({name: rows[at : at + self._largest] for name, rows in inputs.items()}) for at in parts]
        return tuple(np.concatenate(each) for each in zip(*answers, strict=True))


class _Bound:
    """One size: inputs on the host, their copies and the answers on the device."""

    def __init__(
        self, session: ort.InferenceSession, number: int, size: int, window: int, top: int, device: str
    ) -> None:
        self.size, self._session = size, session
        shapes = {"items": (size, window), "kinds": (size, window), "length": (size,)}
        self._host_inputs = {name: np.ones(shape, dtype=np.int32) for name, shape in shapes.items()}
        self._copies = {
            name: ort.OrtValue.ortvalue_from_numpy(rows, device) for name, rows in self._host_inputs.items()
        }
        scores, rows, *others = session.get_outputs()
        outputs = [(scores.name, top, np.float32), (rows.name, top, np.int32)]
        outputs += [(output.name, output.shape[1], np.float32) for output in others]
        self._answers = [
            ort.OrtValue.ortvalue_from_shape_and_type([size, width], kind, device) for _, width, kind in outputs
        ]
        self._binding = session.io_binding()
        for name, copy in self._copies.items():
            self._binding.bind_ortvalue_input(name, copy)
        for (name, _, _), answer in zip(outputs, self._answers, strict=True):
            self._binding.bind_ortvalue_output(name, answer)
        self._options = ort.RunOptions()
        self._options.add_run_config_entry("gpu_graph_id", str(number + 1))
        self.run(self._host_inputs)

    def run(self, inputs: dict[str, Rows]) -> Answers:
        users = len(inputs["length"])
        for name, rows in inputs.items():
            self._host_inputs[name][:users] = (
                rows  # later rows keep earlier users: a row's answer depends on no other row
            )
            self._copies[name].update_inplace(self._host_inputs[name])
        self._binding.synchronize_inputs()
        self._session.run_with_iobinding(self._binding, self._options)
        self._binding.synchronize_outputs()
        # copies: where the device is the host's memory, the next micro-batch would write over them
        return tuple(answer.numpy()[:users].copy() for answer in self._answers)
