"""`python -m storefront`: serves the lists."""

import logging
import sys

import uvicorn

from operators.errors import LiveshelfError
from operators.logs import configure
from operators.settings import load_settings
from storefront.app import create_app

log = logging.getLogger(__name__)


def main() -> None:
    """Runs one uvicorn process; everything it waits for is asynchronous or in a thread of its own."""
    configure("storefront")
    try:
        settings = load_settings()
        app = create_app(settings)
    except LiveshelfError as error:  # a setting, or a file that one names
        log.error("%s", error)
        sys.exit(1)
    address = {"host": settings.storefront.host, "port": settings.storefront.port}
    uvicorn.run(app, **address, access_log=False, log_config=None)


if __name__ == "__main__":
    main()
