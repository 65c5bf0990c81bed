from collections.abc import Iterator
from pathlib import Path

import pytest

from operators.configuration.shop_settings import DemandSettings
from storefront.services import Services
from tests.running_stack import Stack
from tests.stack.topics import eventually


@pytest.fixture
def shop(stack: Stack, tmp_path: Path) -> Iterator[Services]:
    """A storefront with tables of its own that follows demand: the stack's does not."""
    own = stack.settings.stack.model_copy(update={"data_dir": str(tmp_path)})
    services = Services(stack.settings.model_copy(update={"demand": DemandSettings(enabled=True), "stack": own}))
    services.open()
    eventually(lambda: services.views.complete, 60)
    yield services
    services.close()
