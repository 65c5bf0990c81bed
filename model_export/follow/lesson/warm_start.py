"""The model of a bundle, as a training goes on from it."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from model_export.bundles.graph import TABLE
from model_export.bundles.training_weights import FILE, FIX, MOST_BYTES, TrainingWeights, read_weights
from model_export.models.encoders import NextItem, build
from model_export.models.search_task import SearchHead, SearchTask
from model_export.models.session_task import SessionHead, SessionTask
from model_export.training.fit_options import FitOptions
from operators.errors import BundleError
from operators.model.bundle_files import BundleFiles
from operators.model.model_bundle import ModelBundle
from operators.model.query_tower import QueryTower

TOLERANCE = 1e-3  # of the golden scores
FOLLOWERS = ("rows", "share", "seen")


@dataclass(frozen=True)
class WarmStart:
    """A bundle's weights. `table` float32 [N + 1, d] and `bias` [N + 1] by model row; `followers`: the buffers of the
    transition head; `options`: of the training that began the model."""

    options: FitOptions
    weights: TrainingWeights
    table: Tensor
    bias: Tensor
    followers: dict[str, Tensor]
    queries: QueryTower | None

    @classmethod
    def read(cls, bundle: ModelBundle) -> "WarmStart":
        """Raises `BundleError` if the bundle does not hold its training weights, or they do not give its golden scores."""
        graph = onnx.load_model_from_string(bundle.read_graph()).graph
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        if TABLE not in arrays:
            raise BundleError(
                "a float32 item table in the graph", "a compressed one", "serve the bundle it was made from"
            )
        options = _options(bundle.manifest.get("settings"))
        weights = _weights(bundle, arrays, options)
        tensors = {name: torch.from_numpy(np.array(values)) for name, values in arrays.items() if values.ndim}
        followers = {name: tensors[key] for name in FOLLOWERS if (key := f"model.transitions.{name}") in tensors}
        start = cls(options, weights, tensors[TABLE], tensors["model.bias"], followers, bundle.queries)
        start._check(bundle.golden)
        return start

    def model(self, table: Tensor, bias: Tensor) -> NextItem:
        """A model that can be trained, with these items: float32 [N + 1, d] and [N + 1]. Its followers are not counted."""
        options = self.options
        items = len(bias) - 1
        model = build(options.encoder, items, options.width, options.dropout, options.window, self.weights.scale)
        if self.weights.silent:
            model.silence()
        if any(name.startswith(f"tasks.{SessionTask.name}.") for name in self.weights.by_name):
            model.tasks[SessionTask.name] = SessionHead(options.width)
        try:
            missing, unknown = model.load_state_dict(self.weights.by_name, strict=False)
        except RuntimeError as error:  # of another shape
            raise BundleError("the weights of the model that manifest.json names", str(error)[:200], FIX) from error
        lacking = [name for name in missing if name not in ("items.weight", "bias")]
        if (lacking and not self.weights.silent) or unknown:
            raise BundleError("the weights of the model that manifest.json names", f"{(lacking + unknown)[:3]}", FIX)
        model.items.weight.data, model.bias.data = table.clone(), bias.clone()
        with torch.no_grad():
            model.copy.log_trust.zero_()  # a frozen model's scale and biases have it
        if self.queries is not None:
            model.tasks[SearchTask.name] = search_head(self.queries)
        return model

    def _check(self, golden: dict[str, npt.NDArray[Any]]) -> None:
        """Raises `BundleError` if these weights give other scores than the graph."""
        model = self.model(self.table, self.bias).eval()
        for name, values in self.followers.items():
            getattr(model.transitions, name).copy_(values)
        with torch.inference_mode():
            scores = model.scores(*(torch.tensor(golden[name]).long() for name in ("items", "kinds", "length")))
        of_rows = scores.gather(1, torch.tensor(golden["rows"]).long()).numpy()
        difference = float(np.abs(of_rows - golden["scores"]).max())
        if not difference <= TOLERANCE:
            raise BundleError(f"weights that give the golden scores within {TOLERANCE}", f"{difference}", FIX)


def search_head(tower: QueryTower) -> SearchHead:
    """The head of the search task that this tower serves; the tower's vectors have the projection in them."""
    width = tower.vectors.shape[1]
    head = SearchHead(tower.buckets.tolist(), width)
    with torch.no_grad():
        head.parts.weight[1:] = torch.tensor(tower.vectors[1:])
        head.project.weight.copy_(torch.eye(width))
        head.project.bias.copy_(torch.tensor(tower.vectors[0]))
    return head


def _options(settings: Any) -> FitOptions:
    known = {field.name for field in fields(FitOptions)}
    if not isinstance(settings, dict) or "encoder" not in settings:
        raise BundleError("the training's settings in manifest.json", "none", FIX)
    return FitOptions(**{name: value for name, value in settings.items() if name in known})


def _weights(bundle: ModelBundle, arrays: dict[str, npt.NDArray[Any]], options: FitOptions) -> TrainingWeights:
    if FILE in bundle.manifest["files"]:
        return read_weights(BundleFiles(bundle.folder, bundle.manifest).read(FILE, MOST_BYTES))
    return _of_graph(arrays, options)


def _of_graph(arrays: dict[str, npt.NDArray[Any]], options: FitOptions) -> TrainingWeights:
    """The weights of a bundle from before `weights.npz`: those that the graph of a weighted sum without heads holds.

    Two of its matrices have no name, but their shapes tell them apart.
    """
    if options.encoder != "weighted-sum" or options.heads:
        raise BundleError(f"{FILE} in the bundle", "none", FIX)
    width = options.width
    unnamed = {values.shape: values.T for name, values in arrays.items() if name.startswith("val_")}
    by_name = {
        "kinds.weight": arrays["model.kinds.weight"],
        **{
            f"{part}.{kind}": arrays[f"model.{part}.{kind}"]
            for part in ("query", "project")
            for kind in ("weight", "bias")
        },
        "key.weight": unnamed[width, width],
        "weight.weight": unnamed[width, 1],
        "gru.weight_ih_l0": _gates(arrays["model.gru.inputs"][0]),
        "gru.weight_hh_l0": _gates(arrays["model.gru.recurrent"][0]),
        "gru.bias_ih_l0": _gates(arrays["model.gru.biases"][0, : 3 * width]),
        "gru.bias_hh_l0": _gates(arrays["model.gru.biases"][0, 3 * width :]),
    }
    weights = {name: torch.from_numpy(np.array(values)) for name, values in by_name.items()}
    return TrainingWeights(weights, options.scale, silent=True)


def _gates(weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """ONNX's order of the gates z, r, n -> torch's r, z, n."""
    first, second, third = np.split(weights, 3)
    return np.concatenate((second, first, third))
