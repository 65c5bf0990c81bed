"""CORS: the headers that let pages of the origins in `storefront.cors_origins` read answers.

No answer allows credentials, so `*` exposes nothing that needs a visitor's identity. The HTML pages, the monitoring
routes and `/ops` are never shared.
"""

from collections.abc import Collection

from fastapi import Response

from operators.configuration.page_origin import ANY

READS = ("GET", "HEAD")
SHARED = ("/v1/users/", "/v1/items/", "/v1/search", "/v1/events")
PREFLIGHT_METHOD = b"access-control-request-method"
_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "content-type, content-encoding",
    "access-control-max-age": "600",
}


class SharedOrigins:
    """The origins of `storefront.cors_origins`. `*` allows reads; only a named origin may publish events."""

    def __init__(self, origins: Collection[str]) -> None:
        self._named = frozenset(origin.encode() for origin in origins if origin != ANY)
        self._any_origin = ANY in origins

    def headers(self, method: str, path: str, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        """The CORS headers of the answer (also of a refusal); empty where this origin may not send the request."""
        if origin is None or not path.startswith(SHARED):
            return []
        if not (self._any_origin and method in READS) and origin not in self._named:
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", b"retry-after"),
            (b"vary", b"origin"),
        ]


def preflight() -> Response:
    """The answer to a CORS preflight request."""
    return Response(status_code=204, headers=_PREFLIGHT)
