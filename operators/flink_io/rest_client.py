"""An HTTP client for a Flink cluster's REST interface."""

import ssl
from pathlib import Path
from typing import Any

import httpx

from operators.configuration.loopback import uses_environment_proxies
from operators.configuration.rest_address import RestAddress
from operators.errors import SettingsError
from operators.settings import JobSettings, project_root

ANSWER_S = 6.0  # as long as a broker has (`kafka_settings.CONNECT_MS`): a verb says within ten seconds what is away


def rest_client(job: JobSettings, timeout_s: float = ANSWER_S) -> httpx.Client:
    """A client for `job.rest_url`, with its user, its path and the certificates of `rest_files`. Raises `SettingsError`."""
    address = RestAddress.parse(job.rest_url)
    options: dict[str, Any] = {"auth": (address.user, address.password)} if address.user else {}
    if address.scheme == "https":
        options["verify"] = _tls(job)
    try:
        return httpx.Client(
            base_url=address.url, timeout=timeout_s, trust_env=uses_environment_proxies(address.url), **options
        )
    except ImportError as error:  # httpx needs another package for a socks proxy
        raise SettingsError(
            f"a way to {address.url}", f"a proxy in the environment: {error}", "unset ALL_PROXY, or name an HTTP proxy"
        ) from error


def rest_files(job: JobSettings) -> tuple[Path | None, Path | None]:
    """The certificates of the authority, and our own certificate with its key, both PEM; None for what is not set.

    Raises `SettingsError` where one cannot be read.
    """
    files: list[Path | None] = []
    for name in ("rest_ca_file", "rest_cert_file"):
        file = project_root() / setting if (setting := str(getattr(job, name))) else None
        try:
            if file:
                file.read_bytes()
        except OSError as error:
            raise SettingsError(
                f"a readable file of certificates in job.{name}", str(error), f"correct job.{name}"
            ) from error
        files.append(file)
    return files[0], files[1]


def _tls(job: JobSettings) -> ssl.SSLContext:
    authority, own = rest_files(job)
    try:
        context = ssl.create_default_context(cafile=authority)
        if own:
            context.load_cert_chain(own)
    except ssl.SSLError as error:
        raise SettingsError(
            "certificates in PEM, and our own with its key",
            str(error),
            "correct job.rest_ca_file and job.rest_cert_file",
        ) from error
    return context
