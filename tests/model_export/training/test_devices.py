"""Without a GPU: torch's fake tensors carry a device and refuse to be mixed, so what would fail on a GPU fails here."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from model_export.data.windows import Batch, mask_steps
from model_export.models.copying import copy_loss
from model_export.models.encoders import ENCODERS, build
from model_export.models.losses import full_softmax, sampled_softmax
from model_export.training.process_group import device_of, join_group
from operators.errors import LiveshelfError


@pytest.mark.parametrize("name", ENCODERS)
def test_nothing_is_made_on_the_cpu_where_the_model_is_on_a_gpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # torch's own GRU asks for addresses and for a kernel, and fakes have none
    monkeypatch.setattr(torch.nn.GRU, "flatten_parameters", lambda _: None)
    monkeypatch.setattr(torch.nn.GRU, "forward", lambda gru, steps: (steps @ gru.weight_hh_l0[: steps.shape[2]], None))
    with FakeTensorMode():
        gpu = torch.device("cuda", 0)
        with gpu:
            model = build(name, 50, 16, 0.1, 8, 16.0)
        items = torch.ones((4, 8), dtype=torch.int64, device=gpu)
        batch = mask_steps(Batch(items, items, items), 0.2, 0.2)
        vectors = model.user_vectors(batch.items, batch.kinds)[:, 0]
        target, length = items[:, 0], items[:, 0] * 3
        negatives = torch.randint(50, (10,), device=gpu)
        own, context = model.after_last(items, items, length)
        rows, logits = model.competing(*context)
        tensors = [
            full_softmax(vectors, model.table()[1:], model.bias[1:], target, 16.0),  # makes its gradients as well
            sampled_softmax(vectors, model.table()[1:], model.bias[1:], target, 16.0, negatives),
            copy_loss(model.copy.trust * own, logits, rows, target),
            model.scores(items, items, length),
        ]
        assert all(tensor.device == gpu for tensor in tensors)
        with pytest.raises(Exception, match="device"):
            model.user_vectors(items.cpu(), items)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_wanted_and_not_there_is_said() -> None:
    assert device_of("auto").type == device_of("cpu").type == "cpu"
    with pytest.raises(LiveshelfError, match="--device cpu"), join_group("cuda"):
        pass
