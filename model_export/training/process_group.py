"""Several processes that train one model (`torchrun`): each takes its share of every batch, gradients are summed.

The sums are those of one process with the whole batch, so that the number of processes changes speed and not the result
(but for rounding, and what dropout draws). It is for several GPUs or machines: on two cores of one CPU two processes are slower
than one with two threads, which need not exchange gradients (docs/notebook/models.md).
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
    """`size` processes, of which this is number `rank`. All see the same batches in the same order."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def share(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """What of a batch is this process's."""
        return rows[self.rank :: self.size]

    def sum(self, value: float) -> float:
        """Over all processes."""
        if self.size == 1:
            return value
        summed = torch.tensor(value, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(summed)
        return float(summed)

    def sum_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Over all processes, in place."""
        if self.size == 1:
            return
        for weight in weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            torch.distributed.all_reduce(weight.grad)

    def agreed(self, value: Any) -> Any:
        """The first process's: what is decided by it is decided by all alike."""
        if self.size == 1:
            return value
        objects = [value]
        torch.distributed.broadcast_object_list(objects)
        return objects[0]

    def reseed(self, seed: int, epoch: int) -> None:
        """Each process draws dropout of its own, the same after a restart. One alone goes on as it is."""
        if self.size > 1:
            torch.manual_seed((seed * 1_000 + epoch) * 1_000 + self.rank)


ALONE = ProcessGroup()


def device_of(name: str) -> torch.device:
    """`cpu`, `cuda` or `auto`: the GPU where there is one, a process of `torchrun` each its own.

    Raises `LiveshelfError` where a GPU is wanted and there is none.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise LiveshelfError("a CUDA device that torch can use", "none", "give --device cpu, or look at nvidia-smi")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


@contextlib.contextmanager
def joined(device: str) -> Iterator[ProcessGroup]:
    """The group that `torchrun` started this process for; without it, one alone. `device` as `device_of`."""
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
