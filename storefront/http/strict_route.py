"""Routes that refuse unknown query parameters: a misspelt `?limt=5` must not silently mean the default."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from operators.configuration.nearest_name import nearest
from operators.telemetry.visible import visible
from storefront.http.answers import SHOWN, refusal


class StrictRoute(APIRoute):
    """As FastAPI's; answers an unknown or repeated query parameter with 422. A request without a query costs nothing."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's; the constructor calls it once."""
        handle = super().get_route_handler()
        parameters = [field.alias for field in self.dependant.query_params]

        async def strict(request: Request) -> Response:
            if request.scope["query_string"]:
                names = [name for name, _ in request.query_params.multi_items()]
                for name in names:
                    if name not in parameters:
                        return _unknown(name, parameters)
                if len(set(names)) < len(names):
                    return refusal(
                        422, "bad_parameter", f"expected each parameter once; came {_joined(names)}. Next: send one."
                    )
            return await handle(request)

        return strict


def _unknown(name: str, parameters: list[str]) -> Response:
    expected = f"the query parameters {_joined(parameters)}" if parameters else "no query parameters"
    suggestion = nearest(name, parameters)
    text = f"expected {expected}; came {visible(name, SHOWN)!r}. Next: {f'is {suggestion} meant?' if suggestion else 'leave it out.'}"
    return refusal(422, "unknown_parameter", text)


def _joined(names: list[str]) -> str:
    return visible(", ".join(names), SHOWN)
