"""The middleware before every route: checks `Host` and origin, limits the rate, and adds the security headers.

The storefront has no sign-in, so no foreign web page may send requests from a shopper's or an operator's browser:

- `Host` must be a configured name; a foreign name that points at this machine is DNS rebinding. An IP address always
  passes: a page cannot rebind an address.
- A cross-origin request is refused, whatever its method and content type. `Sec-Fetch-Site` decides, or `Origin` from
  browsers that do not send it (the algorithm of Go's net/http CrossOriginProtection). A link from another site passes.
  Programs send neither header and pass.
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
from storefront.http.cors import PREFLIGHT_METHOD, READS, SharedOrigins, preflight
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
WATCHED = ("/healthz", "/readyz", "/metrics")  # monitoring reads these; the rate limit does not count them
_READ_HEADERS = (b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", PREFLIGHT_METHOD)
_MAX_ACCEPTED = 1000


class Hosts:
    """The host names that the storefront accepts."""

    def __init__(self, names: Iterable[str]) -> None:
        """`*.shop.example` accepts every name below shop.example."""
        lowered = [name.lower() for name in (*LOOPBACK_NAMES, *names)]
        self._names = frozenset(lowered)
        self._endings = tuple(name[1:] for name in lowered if name.startswith("*."))
        self._accepted: set[bytes] = set()

    def allow(self, host: bytes | None) -> bool:
        """Whether the `Host` header, with or without a port, names this storefront."""
        if host in self._accepted:
            return True
        if not host or not self._names_us(host.decode("latin-1").lower()):
            return False
        if len(self._accepted) < _MAX_ACCEPTED:
            self._accepted.add(host)
        return True

    def _names_us(self, host: str) -> bool:
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


def is_foreign(method: str, headers: dict[bytes, bytes]) -> bool:
    """Whether a page of another origin sends this request; following a link to the storefront is not foreign."""
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        linked = method in READS and headers.get(b"sec-fetch-mode") == b"navigate"
        return site not in (b"same-origin", b"none") and not linked
    origin = headers.get(b"origin")
    return origin is not None and origin.lower().rpartition(b"://")[2] != headers.get(b"host", b"").lower()


def client_of(scope: Scope) -> str:
    """The key of a client in the limits: its IPv4 address, or the /64 network of its IPv6 address."""
    client = scope.get("client")
    address = str(client[0]) if client else "local"
    if ":" not in address:
        return address
    try:
        ipv6 = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipv6.ipv4_mapped or ipaddress.ip_network((int(ipv6) >> 64 << 64, 64)))


class Guard:
    """An ASGI middleware. Every answer carries `HEADERS`, also a 500."""

    def __init__(self, app: ASGIApp, settings: StorefrontSettings, metrics: StoreMetrics) -> None:
        self._app = app
        self._metrics = metrics
        self._hosts = Hosts([settings.host, *settings.hosts])
        self._origins = SharedOrigins(settings.cors_origins)
        rate = settings.requests_per_s
        self._buckets = TokenBuckets(rate, 2 * rate) if rate else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses the request, or passes it on with its path still percent-encoded."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # only the route decodes a path segment: decoded earlier, an id with a slash would become two segments
        scope["path"] = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
        headers = {name: value for name, value in scope["headers"] if name in _READ_HEADERS}
        intended = (
            headers.get(PREFLIGHT_METHOD) if scope["method"] == "OPTIONS" else None
        )  # the method after the preflight
        method = intended.decode("latin-1") if intended else scope["method"]
        shared = self._origins.headers(method, scope["path"], headers.get(b"origin"))
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), *HEADERS, *shared]
            await send(message)

        app = self._refusal(scope, headers, bool(shared)) or (preflight() if intended and shared else self._app)
        try:
            await app(scope, receive, sending)
        except (ClientDisconnect, SendTimeoutError):
            log.info("a client disconnected, or did not read its answer in time")
        except Exception as error:
            self._metrics.exceptions.labels(type(error).__name__).inc()
            if not started:
                text = "expected an answer; came an error of ours. Next: liveshelf logs storefront."
                await refusal(500, "internal_error", text)(scope, receive, sending)
            raise

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes], shared: bool) -> ASGIApp | None:
        if not self._hosts.allow(headers.get(b"host")):
            text = "expected a Host that is ours; came another. Next: name it in storefront.hosts."
            return refusal(400, "bad_host", text)
        if not shared and is_foreign(scope["method"], headers):
            text = "expected a page of this origin; came another. Next: serve page and shop from one origin, or see CORS in docs/http.md."
            return refusal(403, "cross_site", text)
        if self._buckets is not None and scope["path"] not in WATCHED:
            wait_s = self._buckets.wait_s(client_of(scope))
            if wait_s > 0:
                text = f"expected fewer requests a second; came more. Next: ask again after {wait_s:.1f} s."
                return refusal(429, "too_many_requests", text, wait_s=wait_s)
        return None
