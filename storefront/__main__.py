"""`python -m storefront`: serves the lists."""

import uvicorn

from operators.settings import load_settings
from storefront.app import create_app


def main() -> None:
    """Runs one uvicorn process; everything it waits for is asynchronous or in a thread of its own."""
    settings = load_settings()
    uvicorn.run(create_app(settings), host=settings.storefront.host, port=settings.storefront.port, access_log=False)


if __name__ == "__main__":
    main()
