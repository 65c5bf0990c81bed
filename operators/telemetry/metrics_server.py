"""Serves a registry over HTTP and tells Prometheus where, by a target file (`file_sd`)."""

import contextlib
import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

log = logging.getLogger(__name__)
PORTS_TRIED = 16


class MetricsServer:
    """One HTTP server of one registry; `close` frees the port."""

    def __init__(
        self,
        registry: CollectorRegistry,
        host: str,
        first_port: int,
        targets: Path | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Takes the first free port from `first_port` on; without a free port (`port` 0) the process runs without metrics.

        `targets`: a file for Prometheus' file_sd. It is named for the role, not for the process: the next process of
        the role overwrites it, so a killed process leaves no dead target.
        """
        ProcessCollector(registry=registry)
        self._targets, self._address = targets, ""
        self._server: WSGIServer | None = None
        self._thread: threading.Thread | None = None
        self.port = 0
        for port in range(first_port, first_port + PORTS_TRIED):
            with contextlib.suppress(OSError):
                self._server, self._thread = start_http_server(port, host, registry)
                self.port = port
                break
        if not self.port:
            log.warning("no port from %s to %s is free: no metrics", first_port, first_port + PORTS_TRIED - 1)
        elif targets is not None:
            self._address = f"{host}:{self.port}"
            _announce(targets, self._address, dict(labels or {}))

    def close(self) -> None:
        """Stops the server. The target file stays: until another process takes the role, its target is down."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(5)

    def withdraw(self) -> None:
        """Removes the target file, if no other process has the role meanwhile: for a role that ends with this process."""
        if self._targets is not None and self._address:
            with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
                if json.loads(self._targets.read_text())[0]["targets"] == [self._address]:
                    self._targets.unlink()


def _announce(file: Path, address: str, labels: dict[str, str]) -> None:
    """Writes the target file under another name and renames it, so that Prometheus never reads half a file."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".tmp")
        temporary.write_text(json.dumps([{"targets": [address], "labels": labels}]))
        temporary.rename(file)
    except OSError as error:  # a full disk must not stop the job
        log.warning("Prometheus is not told of %s: %s", address, error)
