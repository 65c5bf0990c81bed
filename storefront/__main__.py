"""`python -m storefront`: serves the lists."""

import uvicorn

from operators.logs import configure
from operators.settings import load_settings
from storefront.app import create_app


def main() -> None:
    """Runs one uvicorn process; everything it waits for is asynchronous or in a thread of its own."""
    configure("storefront")
    settings = load_settings()
    address = {"host": settings.storefront.host, "port": settings.storefront.port}
    uvicorn.run(create_app(settings), **address, access_log=False, log_config=None)


if __name__ == "__main__":
    main()
