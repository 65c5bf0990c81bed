import torch
from torch import nn

from model_export.bundles.opaque_gru import OpaqueGru, opaque
from model_export.models.encoders import build


def test_what_the_exporter_sees_says_what_was_trained() -> None:
    torch.manual_seed(1)
    gru, steps = nn.GRU(8, 6, batch_first=True), torch.randn(3, 5, 8)
    states, _ = OpaqueGru(gru)(steps)
    assert torch.allclose(states, gru(steps)[0], atol=1e-6)
    later, _ = OpaqueGru(gru)(steps[:, 2:], states[None, :, 1])
    assert torch.allclose(later, states[:, 2:], atol=1e-6)


def test_the_model_has_its_own_gru_again_afterwards() -> None:
    model = build("weighted-sum", 20, 8, 0.0, 10, 16.0)
    own = model.gru
    with opaque(model) as translated:
        assert isinstance(model.gru, OpaqueGru) and len(translated) == 2
    assert model.gru is own
    with opaque(build("attention", 20, 8, 0.0, 10, 16.0)) as translated:
        assert translated == {}
