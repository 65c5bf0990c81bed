"""`python -m storefront`: serves the lists."""

import logging
import resource
import sys

import uvicorn

from operators.errors import LiveshelfError
from operators.settings import Settings, load_settings
from operators.telemetry.freed_memory import give_back_large_blocks
from operators.telemetry.logs import configure
from storefront.app import create_app
from storefront.http.connections import connections
from storefront.watching.exposure import is_loopback, opened

log = logging.getLogger(__name__)
OTHER_FILES = 512  # open files of the tables, Kafka and Prometheus
STOP_S = 5  # open streams end at most so long after a stop


def main() -> None:
    """Runs one uvicorn process; all I/O is asynchronous or in its own thread."""
    configure("storefront")
    try:
        settings = load_settings()
        limits = settings.storefront
        if not is_loopback(limits.host):
            log.warning("%s", opened(limits))
        give_back_large_blocks()  # what Kafka's client fetches, and the memtables: a megabyte and more at a time
        allow_files(limits.max_connections + OTHER_FILES)
        serving = server(settings)
    except LiveshelfError as error:  # a bad setting, or a file that a setting names
        log.error("%s", error)
        sys.exit(1)
    serving.run()


def server(settings: Settings) -> uvicorn.Server:
    """uvicorn with the storefront's limits. Only a trusted proxy may set the client's address."""
    limits = settings.storefront
    return uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=limits.host,
            port=limits.port,
            http=connections(limits),
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=bool(limits.trusted_proxies),
            forwarded_allow_ips=limits.trusted_proxies,
            timeout_keep_alive=limits.idle_timeout_s,
            timeout_graceful_shutdown=STOP_S,
        )
    )


def allow_files(count: int) -> None:
    """Raises the limit of open files as far as this user may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit < count:
        log.warning("storefront.max_connections needs %s open files, %s are allowed: ulimit -n", count, hard)


if __name__ == "__main__":
    main()
