"""The jars of the stack, for the tests that run Kafka's Java classes."""

import pytest

from deploy.local.jars import ensure_jars
from deploy.local.layout import Layout
from operators.settings import load_settings


@pytest.fixture(scope="session")
def jars() -> None:
    """Fetched as `liveshelf up` does it."""
    ensure_jars(Layout.of(load_settings()))
