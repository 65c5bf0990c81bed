"""The address of a Flink cluster's REST interface."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from operators.configuration.loopback import is_loopback

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class RestAddress:
    """The parts of `job.rest_url`. `path` is "" or begins with a slash and ends without one (an ingress has one)."""

    scheme: str
    host: str
    port: int
    path: str = ""
    user: str = ""
    password: str = ""

    @classmethod
    def parse(cls, url: str) -> "RestAddress":
        """Raises `ValueError` with the reason, which never holds a password."""
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS:
            raise ValueError("begins neither with http:// nor with https://")
        if not parts.hostname:
            raise ValueError("names no host")
        if parts.query or parts.fragment:
            raise ValueError("has a query or a fragment")
        try:
            port = parts.port or DEFAULT_PORTS[parts.scheme]
        except ValueError as error:
            raise ValueError("has no valid port") from error
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.scheme, parts.hostname, port, parts.path.rstrip("/"), user, password)

    @property
    def url(self) -> str:
        """Without user and password: what is shown, logged and shipped."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        return is_loopback(self.host)


def checked_url(url: str) -> str:
    """`url`, which `RestAddress.parse` takes. Raises `ValueError` as it does."""
    RestAddress.parse(url)
    return url


def without_password(text: str) -> str:
    """A text that may hold a URL with user and password, without them."""
    return re.sub(r"//[^/@\s]*@", "//…@", text)
