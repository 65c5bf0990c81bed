"""What stands before every route: who may ask, how often, and what each answer says to a browser.

The shop has no sign-in, so a foreign web page in the browser of somebody who reaches it must not act for that person:

- `Host` must be a name of ours (a foreign one that was pointed at this machine's address is DNS rebinding). An address
  is always good: a page cannot rebind a number.
- A request that a page of another origin makes is refused, whatever its method and content type, by `Sec-Fetch-Site`
  or, from browsers that do not send it, by `Origin` (the algorithm of Go's net/http CrossOriginProtection). A link
  that leads here is good; programs send neither header.
"""

import ipaddress
import logging
from collections.abc import Iterable
from urllib.parse import quote

from sse_starlette.sse import SendTimeoutError
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from operators.settings import StorefrontSettings
from operators.telemetry.token_buckets import TokenBuckets
from storefront.http.answers import refusal
from storefront.http.cors import ASKED_METHOD, READS, SharedOrigins, preflight
from storefront.watching.metrics import StoreMetrics

log = logging.getLogger(__name__)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),  # a path holds a user's id
    (b"cross-origin-resource-policy", b"same-origin"),
]
LOOPBACK_NAMES = ("localhost",)
WATCHED = ("/healthz", "/readyz", "/metrics")  # asked by what watches; not counted against a rate
_ASKED = (b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", ASKED_METHOD)
_HELD_NAMES = 1000


class Hosts:
    """The names by which the shop may be reached."""

    def __init__(self, names: Iterable[str]) -> None:
        """`*.shop.example` stands for every name below."""
        lowered = [name.lower() for name in (*LOOPBACK_NAMES, *names)]
        self._names = frozenset(lowered)
        self._endings = tuple(name[1:] for name in lowered if name.startswith("*."))
        self._good: set[bytes] = set()

    def allow(self, host: bytes | None) -> bool:
        """Whether a `Host` header, which may have a port, is one of ours."""
        if host in self._good:
            return True
        if not host or not self._known(host.decode("latin-1").lower()):
            return False
        if len(self._good) < _HELD_NAMES:
            self._good.add(host)
        return True

    def _known(self, host: str) -> bool:
        name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "")
        if port and not port.isdigit():
            return False
        if name in self._names or (self._endings and name.endswith(self._endings)):
            return True
        try:
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return True


def is_foreign(method: str, found: dict[bytes, bytes]) -> bool:
    """Whether a page of another origin makes this request; a link that leads here does not count."""
    site = found.get(b"sec-fetch-site")
    if site is not None:
        linked = method in READS and found.get(b"sec-fetch-mode") == b"navigate"
        return site not in (b"same-origin", b"none") and not linked
    origin = found.get(b"origin")
    return origin is not None and origin.lower().rpartition(b"://")[2] != found.get(b"host", b"").lower()


def client_of(scope: Scope) -> str:
    """Whom a limit counts: an address, or the network of 64 bits that an IPv6 client has for itself."""
    client = scope.get("client")
    address = str(client[0]) if client else "local"
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))


class Guard:
    """An ASGI middleware. Every answer has `HEADERS`, that to an error of our own among them."""

    def __init__(self, app: ASGIApp, settings: StorefrontSettings, metrics: StoreMetrics) -> None:
        self._app = app
        self._metrics = metrics
        self._hosts = Hosts([settings.host, *settings.hosts])
        self._origins = SharedOrigins(settings.cors_origins)
        rate = settings.requests_per_s
        self._buckets = TokenBuckets(rate, 2 * rate) if rate else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses, or passes on with the path as it is on the wire."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # a part of a path is decoded by its route alone: decoded before, an id with a slash would be two parts
        scope["path"] = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
        found = {name: value for name, value in scope["headers"] if name in _ASKED}
        asked = found.get(ASKED_METHOD) if scope["method"] == "OPTIONS" else None  # a browser asks what it may do
        method = asked.decode("latin-1") if asked else scope["method"]
        shared = self._origins.headers(method, scope["path"], found.get(b"origin"))
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message.get("headers", ()), *HEADERS, *shared]
            await send(message)

        app = self._refusal(scope, found, bool(shared)) or (preflight() if asked and shared else self._app)
        try:
            await app(scope, receive, sending)
        except (ClientDisconnect, SendTimeoutError):
            log.info("a client went away, or took nothing of its answer")
        except Exception as error:
            self._metrics.exceptions.labels(type(error).__name__).inc()
            if not begun:
                text = "expected an answer; came an error of ours. Next: liveshelf logs storefront."
                await refusal(500, "internal_error", text)(scope, receive, sending)
            raise

    def _refusal(self, scope: Scope, found: dict[bytes, bytes], shared: bool) -> ASGIApp | None:
        if not self._hosts.allow(found.get(b"host")):
            text = "expected a Host that is ours; came another. Next: name it in storefront.hosts."
            return refusal(400, "bad_host", text)
        if not shared and is_foreign(scope["method"], found):
            text = "expected a page of this origin; came another. Next: serve page and shop from one origin, or see CORS in docs/http.md."
            return refusal(403, "cross_site", text)
        if self._buckets is not None and scope["path"] not in WATCHED:
            wait_s = self._buckets.wait_s(client_of(scope))
            if wait_s > 0:
                text = f"expected fewer requests a second; came more. Next: ask again after {wait_s:.1f} s."
                return refusal(429, "too_many_requests", text, wait_s=wait_s)
        return None
