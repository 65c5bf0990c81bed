"""TensorRT as an option. Without a card: what it is asked for, and that nobody falls to another provider in silence."""

import ctypes
from pathlib import Path

import onnxruntime as ort
import pytest

from operators.errors import StackError
from operators.model import scorer
from operators.model.gpu import tensorrt_batches
from operators.model.gpu.cuda_batches import CUDA, NotStarted
from operators.model.gpu.tensorrt_batches import TENSORRT, engine_options
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer, choose_provider
from operators.settings import ScorerSettings
from tests.places import ROOT

BUNDLE = ModelBundle.load(ROOT / "models" / "online-retail")


def has_tensorrt() -> bool:
    try:
        return choose_provider("tensorrt")[0] == TENSORRT and bool(ctypes.CDLL("libnvinfer.so.10"))
    except OSError:
        return False


class Session(ort.InferenceSession):
    """ONNX Runtime on the CPU, whatever was asked for: so it does where a provider's libraries are missing."""

    def __init__(self, graph: bytes, options: ort.SessionOptions, providers: list[object], **settings: object) -> None:
        super().__init__(graph, options, providers=["CPUExecutionProvider"], **settings)


def test_engines_take_each_size_of_micro_batch_in_float32(tmp_path: Path) -> None:
    options = engine_options(20, 256, tmp_path)
    assert options["trt_profile_min_shapes"] == "items:1x20,kinds:1x20,length:1"
    assert options["trt_profile_opt_shapes"] == "items:128x20,kinds:128x20,length:128"
    assert options["trt_profile_max_shapes"] == "items:256x20,kinds:256x20,length:256"
    assert options["trt_fp16_enable"] == "0"


def test_a_runtime_without_tensorrt_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "_cuda_devices", lambda: 1)
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])
    assert choose_provider("tensorrt") == (CUDA, "this ONNX Runtime was built without TensorRT")
    monkeypatch.setattr(ort, "get_available_providers", lambda: [TENSORRT, CUDA, "CPUExecutionProvider"])
    assert choose_provider("tensorrt")[0] == TENSORRT
    assert choose_provider("auto")[0] == CUDA


def test_a_required_gpu_is_missed_aloud_where_no_provider_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(scorer, "choose_provider", lambda wanted: (TENSORRT, "scorer.provider = tensorrt"))
    monkeypatch.setattr(ort, "InferenceSession", Session)
    settings = ScorerSettings(provider="tensorrt", engines_dir=str(tmp_path / "engines"))
    found = Scorer(BUNDLE, settings)
    why = f"{CUDA} did not start: its libraries were not found"
    assert (found.provider, found.provider_reason) == ("CPUExecutionProvider", why)
    assert (tmp_path / "engines").is_dir()
    with pytest.raises(StackError, match="require_gpu"):
        Scorer(BUNDLE, settings.model_copy(update={"require_gpu": True}))


def test_where_its_libraries_are_missing_nothing_runs_by_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tensorrt_batches.ort, "InferenceSession", Session)
    with pytest.raises(NotStarted, match="libraries"):
        tensorrt_batches.on_tensorrt(
            BUNDLE.read_graph(), ort.SessionOptions(), 20, 100, 8, str(tmp_path / "engines"), "sum"
        )


def test_engines_that_another_user_may_have_put_there_are_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(scorer, "choose_provider", lambda wanted: (TENSORRT, "scorer.provider = tensorrt"))
    monkeypatch.setattr(ort, "InferenceSession", Session)
    tmp_path.chmod(0o777)
    with pytest.raises(StackError, match=r"scorer\.engines_dir to be a folder of this user"):
        Scorer(BUNDLE, ScorerSettings(provider="tensorrt", engines_dir=str(tmp_path)))
    tmp_path.chmod(0o755)
    assert Scorer(BUNDLE, ScorerSettings(provider="tensorrt", engines_dir=str(tmp_path)))


def test_engines_are_kept_in_this_users_cache_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(scorer, "choose_provider", lambda wanted: (TENSORRT, "scorer.provider = tensorrt"))
    monkeypatch.setattr(ort, "InferenceSession", Session)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    Scorer(BUNDLE, ScorerSettings(provider="tensorrt"))
    assert (tmp_path / "liveshelf" / "engines").is_dir()


@pytest.mark.skipif(not has_tensorrt(), reason="no CUDA device, or no TensorRT")
def test_tensorrt_serves_the_lists_of_a_cpu(tmp_path: Path) -> None:
    settings = ScorerSettings(provider="tensorrt", require_gpu=True, engines_dir=str(tmp_path))
    assert Scorer(BUNDLE, settings).provider == TENSORRT  # which compares the golden scores
