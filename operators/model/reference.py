"""A bundle's reference: how the features of its training window were distributed, for the drift meters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.errors import BundleError

FILE = "reference.json"
_FIX = "make it anew with `python -m model_export.bundles.reference`"


@dataclass(frozen=True)
class Bins:
    """One feature of the training window: inner edges (a value equal to an edge is above it) and the share of each bin."""

    edges: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]

    @classmethod
    def fit(cls, values: npt.NDArray[Any], edges: npt.NDArray[Any] | None = None) -> "Bins":
        """Ten bins of equal share, or the given edges."""
        bounds = np.unique(np.quantile(values, np.arange(1, 10) / 10)) if edges is None else edges
        counts = np.bincount(np.searchsorted(bounds, values, side="right"), minlength=len(bounds) + 1)
        return cls(np.asarray(bounds, dtype=np.float64), counts / len(values))


def dump_reference(reference: Mapping[str, Bins]) -> dict[str, Any]:
    """For a bundle's `reference.json`."""
    return {
        name: {"edges": [round(float(e), 6) for e in bins.edges], "shares": [round(float(s), 6) for s in bins.shares]}
        for name, bins in reference.items()
    }


def load_reference(dump: Any) -> dict[str, Bins]:
    """From a bundle's `reference.json`; raises `BundleError`."""
    try:
        bins = {
            str(name): Bins(np.array(fields["edges"], dtype=np.float64), np.array(fields["shares"], dtype=np.float64))
            for name, fields in dump.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"edges and shares of each feature in {FILE}", repr(error)[:200], _FIX) from error
    for name, feature in bins.items():
        ordered = feature.edges.ndim == feature.shares.ndim == 1 and bool((np.diff(feature.edges) > 0).all())
        if not ordered or len(feature.shares) != len(feature.edges) + 1 or not np.isfinite(feature.shares).all():
            raise BundleError(f"rising edges and one share more in {FILE}", f"{name}: {feature}"[:200], _FIX)
    return bins
