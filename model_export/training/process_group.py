"""Several processes train one model (`torchrun`): each takes a share of every batch, and gradients are summed.

The sums equal those of one process with the whole batch. So the number of processes changes the speed but not the result,
except for rounding and dropout. It is for several GPUs or machines: on two cores of one CPU two processes are slower than
one process with two threads, which exchanges no gradients (docs/notebook/models.md).
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed
from torch import nn

from operators.errors import LiveshelfError


@dataclass(frozen=True)
class ProcessGroup:
    """A group of `size` processes; this process has number `rank`. All see the same batches in the same order."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def share(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """This process's share of a batch."""
        return rows[self.rank :: self.size]

    def sum(self, value: float) -> float:
        """The sum over all processes."""
        if self.size == 1:
            return value
        summed = torch.tensor(value, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(summed)
        return float(summed)

    def sum_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Sums the gradients over all processes, in place."""
        if self.size == 1:
            return
        for weight in weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            torch.distributed.all_reduce(weight.grad)

    def broadcast(self, value: Any) -> Any:
        """The first process's value, so that all processes decide alike."""
        if self.size == 1:
            return value
        objects = [value]
        torch.distributed.broadcast_object_list(objects)
        return objects[0]

    def reseed(self, seed: int, epoch: int) -> None:
        """Seeds dropout differently in each process, reproducibly after a restart. A single process is not reseeded."""
        if self.size > 1:
            torch.manual_seed((seed * 1_000 + epoch) * 1_000 + self.rank)


SINGLE_PROCESS = ProcessGroup()


def device_of(name: str) -> torch.device:
    """The device for `cpu`, `cuda` or `auto` (a GPU if there is one). Each process of `torchrun` gets its own GPU.

    Raises `LiveshelfError` for `cuda` without a GPU.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise LiveshelfError("a CUDA device that torch can use", "none", "give --device cpu, or look at nvidia-smi")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


@contextlib.contextmanager
def join_group(device: str) -> Iterator[ProcessGroup]:
    """Joins the group of `torchrun`; without `torchrun` yields a group of one process. `device`: as in `device_of`."""
    own_device = device_of(device)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ProcessGroup(device=own_device)
        return
    torch.distributed.init_process_group("gloo" if own_device.type == "cpu" else "nccl")
    if own_device.type == "cuda":
        torch.cuda.set_device(own_device)
    try:
        yield ProcessGroup(torch.distributed.get_rank(), torch.distributed.get_world_size(), own_device)
    finally:
        torch.distributed.destroy_process_group()
