"""Two processes with half of the rows each learn what one with all of them does."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, multiprocessing, nn

from model_export.models.losses import full_softmax
from model_export.models.sharded_table import ShardedTable
from model_export.training.crew import Crew

ITEMS, WIDTH, BATCH, STEPS, SCALE, RATE = 41, 8, 64, 5, 1.0, 0.5


def given() -> tuple[Tensor, Tensor, nn.Linear]:
    torch.manual_seed(3)
    return torch.randn(ITEMS, WIDTH), torch.randn(ITEMS), nn.Linear(WIDTH, WIDTH)


def batches() -> list[tuple[Tensor, Tensor]]:
    drawing = torch.Generator().manual_seed(4)
    return [
        (torch.randint(ITEMS, (BATCH, 3), generator=drawing), torch.randint(ITEMS, (BATCH,), generator=drawing))
        for _ in range(STEPS)
    ]


def alone() -> tuple[list[float], Tensor, Tensor, Tensor]:
    table, bias, encoder = given()
    rows, bias = nn.Parameter(table), nn.Parameter(bias)
    optimizer, losses = torch.optim.SGD([rows, bias, *encoder.parameters()], lr=RATE), []
    for items, target in batches():
        loss = full_softmax(encoder(rows[items].mean(1)), rows, bias, target, SCALE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, rows.detach(), bias.detach(), encoder.weight.detach()


def share(rank: int, size: int, folder: str) -> None:
    """One process; leaves what it learned in `folder`."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
    table, bias, encoder = given()
    sharded = ShardedTable(ITEMS, WIDTH, Crew(rank, size))
    sharded.take(table, bias)
    optimizer, losses = torch.optim.SGD([*sharded.parameters(), *encoder.parameters()], lr=RATE), []
    for items, target in batches():
        loss = sharded.cross_entropy(encoder(sharded.lookup(items).mean(1)), target, SCALE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    torch.distributed.destroy_process_group()
    learned = {"rows": sharded.rows, "bias": sharded.bias, "encoder": encoder.weight}
    np.savez(
        Path(folder) / f"{rank}.npz", losses=losses, **{name: one.detach().numpy() for name, one in learned.items()}
    )


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    multiprocessing.spawn(share, (2, str(tmp_path)), nprocs=2)
    losses, rows, bias, encoder = alone()
    assert losses[-1] < losses[0]
    for rank in range(2):
        found = np.load(tmp_path / f"{rank}.npz")
        np.testing.assert_allclose(found["losses"], losses, rtol=1e-5)
        np.testing.assert_allclose(found["rows"], rows[rank::2], atol=1e-5)
        np.testing.assert_allclose(found["bias"], bias[rank::2], atol=1e-5)
        np.testing.assert_allclose(found["encoder"], encoder, atol=1e-5)
