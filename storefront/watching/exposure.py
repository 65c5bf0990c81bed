"""Who can reach the storefront: the sentence that `liveshelf doctor` and the log show."""

import ipaddress

from operators.settings import StorefrontSettings


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on this host address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def opened(limits: StorefrontSettings) -> str:
    """Which machines `storefront.host` lets in, and which web pages `storefront.cors_origins` lets in."""
    pages = f"; web pages of {', '.join(limits.cors_origins)} may ask it" if limits.cors_origins else ""
    if is_loopback(limits.host):
        return f"{limits.host}:{limits.port}: only this machine reaches it{pages}"
    rate = f"{limits.requests_per_s:g} requests/s a client" if limits.requests_per_s else "any number of requests"
    return (
        f"storefront.host = {limits.host} opens the shop to other machines: whoever reaches port {limits.port} reads any "
        f"user's list, publishes events of any user and sees /ops and /metrics; {rate}{pages}. Put a proxy with a sign-in before it"
    )
