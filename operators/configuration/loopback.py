"""Recognises addresses of this machine, and keeps the environment's proxies away from them."""

import ipaddress
from collections.abc import MutableMapping
from urllib.parse import urlsplit

OWN_NAMES = ("127.0.0.1", "localhost", "::1")


def is_loopback(host: str) -> bool:
    """Whether a host's name or address reaches this machine alone. A name that needs DNS does not count."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # how Java shows 127.0.0.1: ::ffff:127.0.0.1
    return (mapped or address).is_loopback


def uses_environment_proxies(url: str) -> bool:
    """`trust_env` of an httpx client for `url`: HTTP_PROXY and ALL_PROXY are for other machines.

    Without it `liveshelf status` asks the proxy for 127.0.0.1, and ALL_PROXY=socks5://… needs a package that is not there.
    """
    host = urlsplit(url).hostname or ""
    return not is_loopback(host) and host not in ("0.0.0.0", "::")  # a part that listens on all addresses


def keep_loopback_direct(environment: MutableMapping[str, str]) -> None:
    """Adds this machine to `no_proxy`, for libraries with clients of their own (lineage, traces). `environment` changes."""
    no_proxy = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host.strip() for host in no_proxy.split(",") if host.strip()]
    if "*" not in hosts:
        joined = ",".join([*hosts, *(name for name in OWN_NAMES if name not in hosts)])
        environment.update(no_proxy=joined, NO_PROXY=joined)
