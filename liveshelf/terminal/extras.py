"""The optional packages: which extra installs each, and the command that installs a missing one."""

import sys
from importlib.util import find_spec

from operators.errors import LiveshelfError

EXTRAS = {
    "train": (
        "torch", "onnx", "onnxscript", "scipy", "pandas", "pandera", "implicit", "threadpoolctl"
    ),
    "report": ("matplotlib", "jinja2", "tensorboard"),
    "tune": ("optuna",),
    "tracing": ("opentelemetry",),
    "text": ("tokenizers",),
}  # fmt: skip
EXTRA_OF = {module: extra for extra, modules in EXTRAS.items() for module in modules}


def need(*modules: str) -> None:
    """Raises `LiveshelfError` for the first of these modules that is not installed."""
    for module in modules:
        if find_spec(module) is None:
            raise missing_extra(module)


def missing_extra(module: str) -> LiveshelfError:
    """The error for a module whose extra is not installed; its command installs into the Python that runs."""
    extra = EXTRA_OF[module]
    make = "make train-deps, or " if extra == "train" else ""
    return LiveshelfError(
        f"the extra `{extra}` ({module})",
        "an install without it",
        f"{make}{sys.executable} -m pip install 'liveshelf[{extra}]'",
    )
