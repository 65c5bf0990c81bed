"""The origin of a web page, as a browser sends it in `Origin`."""

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
ANY = "*"


def checked_origin(text: str) -> str:
    """The same origin, or `ANY`. Raises `ValueError` for what no browser sends: it would match no page, in silence."""
    if text == ANY:
        return text
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname or ""
    except ValueError as error:
        raise ValueError(f"expected an origin; came {text!r} ({error})") from None
    if parts.scheme not in _DEFAULT_PORTS or not host or not host.isascii():
        raise ValueError(
            f"expected http:// or https:// and a host in ASCII, such as https://www.shop.example; came {text!r}"
        )
    name = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{name}" + (f":{port}" if port not in (None, _DEFAULT_PORTS[parts.scheme]) else "")
    if text != origin:
        raise ValueError(f"expected an origin as a browser sends it, {origin!r}; came {text!r}")
    return text
