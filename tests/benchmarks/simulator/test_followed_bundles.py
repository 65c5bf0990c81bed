"""The trainer's own rounds in a dry run."""

import pytest

pytest.importorskip("torch")
