"""The ONNX Runtime session of a bundle: provider, warm-up, golden check, scores of a micro-batch."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from operators.errors import BundleError, StackError
from operators.model.batch_trimming import Answers, BestRows, Run, without_padding
from operators.model.click_head import OUTPUT as CLICKS
from operators.model.encoder_cache import EncoderCache
from operators.model.gpu.cuda_batches import CUDA, NotStarted, on_cuda
from operators.model.gpu.tensorrt_batches import TENSORRT, on_tensorrt
from operators.model.incremental import IncrementalScorer
from operators.model.model_bundle import ModelBundle
from operators.model.onnx_session import open_session, signature
from operators.settings import ScorerSettings
from operators.shopper.features import Features, Rows

CPU = "CPUExecutionProvider"
TOLERANCE = 1e-3
INPUTS = {"items": "tensor(int32)", "kinds": "tensor(int32)", "length": "tensor(int32)"}
OUTPUTS = ["scores", "rows"]
_FIX = "export the bundle again with `liveshelf train`"


def choose_provider(setting: str) -> tuple[str, str]:
    """(ONNX Runtime provider, the reason for it)."""
    if setting == "cpu":
        return CPU, "scorer.provider = cpu"
    if CUDA not in ort.get_available_providers() or not _cuda_devices():
        return CPU, "no CUDA device was found"
    if setting != "tensorrt":
        return CUDA, "a CUDA device was found"
    if TENSORRT not in ort.get_available_providers():
        return CUDA, "this ONNX Runtime was built without TensorRT"
    return TENSORRT, "scorer.provider = tensorrt"


def _cuda_devices() -> int:
    import ctypes

    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    return 0 if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) else count.value


def _options(settings: ScorerSettings) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # ONNX Runtime's threads would spin between micro-batches and take the core of the step
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


class Scorer:
    """Scores micro-batches with a bundle's graph. Not for concurrent use: one thread owns it."""

    def __init__(self, bundle: ModelBundle, settings: ScorerSettings) -> None:
        """Opens the session and proves it on the golden inputs.

        Raises `BundleError`, and `StackError` where a GPU is required and the session runs on a CPU, or where another user
        may write to the folder of TensorRT's engines.
        """
        self.provider, self.provider_reason = choose_provider(settings.provider)
        try:
            self._session, on_device = self._opened(bundle, _options(settings), settings)
        except (StackError, BundleError):  # a missing GPU or file, or a bundle that was refused already
            raise
        except Exception as error:  # ONNX Runtime raises classes of its own that share no base
            raise BundleError("a graph that ONNX Runtime loads", str(error)[:300], _FIX) from error
        self._bundle = bundle
        self._check_signature()
        windows = [node.shape[1] for node in self._session.get_inputs() if len(node.shape) == 2]
        self._run = on_device or self._on_cpu
        # on GPUs the shape stays: padding costs them little, and each new shape something
        self._crops = on_device is None and not any(isinstance(size, int) for size in windows)
        self._check_golden()
        self._incremental = self._opened_incremental(settings) if on_device is None else None
        self._check_provider(settings)  # last: a wrong graph is no lack of a GPU

    @property
    def cache(self) -> EncoderCache | None:
        """The encoder cache; None where each micro-batch is a full pass: on a device, and where the bundle has no graph for it."""
        return None if self._incremental is None else self._incremental.cache

    def score(self, features: Features, users: Sequence[str] | None = None) -> BestRows:
        """(scores float32 [B, K], rows int32 [B, K]), best first. A user's scores may be NaN: check them.

        `users`: the user of each row, for the encoder cache. Without them it is neither read nor written.
        """
        scores, rows = self.answers(features, users)[:2]
        return scores, rows

    def answers(self, features: Features, users: Sequence[str] | None = None) -> Answers:
        """As `score`, and where the bundle has a click head its vector of each user (`operators.model.click_head`)."""
        if self._incremental is not None:
            return self._incremental.score(features.inputs(), users)
        return self._answers(features.inputs())

    def works(self) -> bool:
        """Whether the device still gives the golden scores. After an error the driver of a GPU may refuse
        all later calls of this process; on a CPU no error persists."""
        if self.provider == CPU:
            return True
        try:
            self._check_golden()
        except BundleError:
            return False
        return True

    def _answers(self, inputs: dict[str, Rows]) -> Answers:
        return without_padding(self._run, inputs) if self._crops else self._run(inputs)

    def _opened(
        self, bundle: ModelBundle, options: ort.SessionOptions, settings: ScorerSettings
    ) -> tuple[ort.InferenceSession, Run | None]:
        """A session with the first provider that starts. If a device fails, the CPU follows: only a bad graph fails there too."""
        graph = bundle.read_graph()  # not kept: it may have hundreds of MB
        sizes = bundle.window, bundle.golden["scores"].shape[1], settings.max_batch
        if self.provider == TENSORRT:
            try:
                session, run, remark = on_tensorrt(graph, options, *sizes, settings.engines_dir, bundle.graph_sum[:16])
                self.provider_reason += remark
                return session, run
            except NotStarted as error:
                self.provider, self.provider_reason = CUDA, f"{TENSORRT} did not start: {error}"
        if self.provider == CUDA:
            try:
                session, run, remark = on_cuda(graph, options, *sizes)
                self.provider_reason += remark
                return session, run
            except NotStarted as error:
                self.provider, self.provider_reason = CPU, f"{CUDA} did not start: {error}"
        return open_session(graph, options, [CPU]), None

    def _opened_incremental(self, settings: ScorerSettings) -> IncrementalScorer | None:
        """Proved on the golden inputs; it then stands in for the full graph, which is closed."""
        graph, golden = self._bundle.read_incremental(), self._bundle.golden
        if graph is None:
            return None
        try:
            incremental = IncrementalScorer(
                graph,
                _options(settings),
                self._bundle.window,
                golden["scores"].shape[1],
                settings.cache_mb << 20,
                settings.cache_check_every,
                with_clicks=self._bundle.clicks is not None,
            )
            worst = incremental.check_golden({name: golden[name] for name in INPUTS}, golden)
        except BundleError:
            raise
        except Exception as error:  # as above
            raise BundleError("an incremental graph that runs on the golden inputs", str(error)[:300], _FIX) from error
        if not worst <= TOLERANCE:
            raise BundleError(f"golden scores within {TOLERANCE} of the incremental graph", f"{worst}", _FIX)
        del self._session
        return incremental

    def _check_provider(self, settings: ScorerSettings) -> None:
        if settings.require_gpu and self.provider == CPU:
            raise StackError(
                "a GPU (scorer.require_gpu)",
                f"{CPU}: {self.provider_reason}",
                "see nvidia-smi on the TaskManager's machine (driver, free memory), install CUDA's libraries there (pip install "
                "'liveshelf[gpu]'), or set scorer.require_gpu = false",
            )

    def _on_cpu(self, inputs: dict[str, Rows]) -> Answers:
        return tuple(self._session.run(None, inputs))

    def _check_signature(self) -> None:
        inputs, outputs = signature(self._session)
        expected = OUTPUTS if self._bundle.clicks is None else [*OUTPUTS, CLICKS]
        if inputs != INPUTS or outputs != expected:
            raise BundleError(f"a graph {INPUTS} -> {expected}", f"{inputs} -> {outputs}", _FIX)

    def _check_golden(self) -> None:
        golden = self._bundle.golden
        try:
            scores, _, *clicks = self._answers({name: golden[name] for name in INPUTS})
        except Exception as error:  # as above
            raise BundleError("the graph to run on its golden inputs", str(error)[:300], _FIX) from error
        _refuse_other("scores", scores, golden["scores"])
        if clicks:
            _refuse_other("click vectors", clicks[0], golden["clicks"])


def _refuse_other(what: str, values: npt.NDArray[np.float32], golden: npt.NDArray[np.float32]) -> None:
    if values.shape != golden.shape:
        raise BundleError(f"golden {what} of shape {golden.shape}", str(values.shape), _FIX)
    worst = float(np.max(np.abs(values - golden), initial=0.0))
    if not np.isfinite(values).all() or worst > TOLERANCE:
        raise BundleError(f"golden {what} within {TOLERANCE}", f"{worst} (NaN when not finite)", _FIX)
