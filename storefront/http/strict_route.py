"""Routes that refuse a query parameter that they do not read: `?limt=5` must not look like the default."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from operators.configuration.nearest_name import nearest
from operators.telemetry.visible import visible
from storefront.http.answers import SHOWN, refusal


class StrictRoute(APIRoute):
    """As FastAPI's; an unknown or repeated query parameter is answered with 422. Costs nothing without a query."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Called once, by the constructor."""
        handle = super().get_route_handler()
        known = [field.alias for field in self.dependant.query_params]

        async def strict(request: Request) -> Response:
            if request.scope["query_string"]:
                seen = [name for name, _ in request.query_params.multi_items()]
                for name in seen:
                    if name not in known:
                        return _unknown(name, known)
                if len(set(seen)) < len(seen):
                    return refusal(
                        422, "bad_parameter", f"expected each parameter once; came {_shown(seen)}. Next: send one."
                    )
            return await handle(request)

        return strict


def _unknown(name: str, known: list[str]) -> Response:
    expected = f"the query parameters {_shown(known)}" if known else "no query parameters"
    meant = nearest(name, known)
    text = f"expected {expected}; came {visible(name, SHOWN)!r}. Next: {f'is {meant} meant?' if meant else 'leave it out.'}"
    return refusal(422, "unknown_parameter", text)


def _shown(names: list[str]) -> str:
    return visible(", ".join(names), SHOWN)
