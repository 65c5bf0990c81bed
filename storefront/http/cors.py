"""Which pages of other origins may ask, and what their browsers are told: CORS, by `storefront.cors_origins`.

No answer allows credentials, so that `*` gives a page nothing that its visitor alone may see. The pages, what watches
and `/ops` are never shared.
"""

from collections.abc import Collection

from fastapi import Response

from operators.configuration.page_origin import ANY

READS = ("GET", "HEAD")
SHARED = ("/v1/users/", "/v1/items/", "/v1/search", "/v1/events")
ASKED_METHOD = b"access-control-request-method"
_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "content-type, content-encoding",
    "access-control-max-age": "600",
}


class SharedOrigins:
    """The origins of `storefront.cors_origins`. `*` shares what is read; only a named origin may publish."""

    def __init__(self, origins: Collection[str]) -> None:
        self._named = frozenset(origin.encode() for origin in origins if origin != ANY)
        self._any = ANY in origins

    def headers(self, method: str, path: str, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        """What the browser of a page of this origin is told with the answer, be it a refusal; empty where the page may
        not ask."""
        if origin is None or not path.startswith(SHARED):
            return []
        if not (self._any and method in READS) and origin not in self._named:
            return []
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", b"retry-after"),
            (b"vary", b"origin"),
        ]


def preflight() -> Response:
    """The answer to a browser that asks before a request that is not simple."""
    return Response(status_code=204, headers=_PREFLIGHT)
