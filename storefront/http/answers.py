"""JSON answers. Routes, the framework and the guard answer every refused request with one record, `Refused`."""

import math
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from operators.telemetry.visible import visible

SHOWN = 200  # characters of the refused input in an error text
CODE_OF_STATUS = {404: "not_found", 405: "method_not_allowed"}

encode = msgspec.json.Encoder().encode


class Refused(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Why a request was refused, and what to do next. `index` (from 0) or `line` (from 1): the bad event of a batch."""

    reason: str
    error: str
    index: int | None = None
    line: int | None = None


def json_answer(answer: Any, status: int = 200) -> Response:
    """Encodes a record or a dict. `no-store`: the answer belongs to one shopper and is true only now."""
    response = Response(encode(answer), status, media_type="application/json")
    response.raw_headers.append(
        (b"cache-control", b"no-store")
    )  # a look-up is too short for Starlette's way of adding one
    return response


def refusal(status: int, reason: str, error: str, *, wait_s: float | None = None, **position: int | None) -> Response:
    """Answers with a `Refused`. `wait_s`: seconds until a retry makes sense, sent as `Retry-After`."""
    response = json_answer(Refused(reason=reason, error=error, **position), status)
    if wait_s is not None:
        response.headers["retry-after"] = str(max(1, math.ceil(wait_s)))
    return response


def add_refusals(app: FastAPI) -> None:
    """Makes Starlette and FastAPI answer their own refusals with a `Refused` too."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        location, name = (str(part) for part in first["loc"][:2])
        value = visible(str(first.get("input")), SHOWN)
        text = f"expected a valid {name}; came {value!r} ({first['msg']}). Next: correct the {location}."
        return refusal(422, "bad_id" if location == "path" else "bad_parameter", text)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        text = f"expected a path and a method that /docs names; came another ({error.detail}). Next: open /docs; a slash in an id is %2F."
        answer = refusal(error.status_code, CODE_OF_STATUS.get(error.status_code, "refused"), text)
        answer.headers.update(error.headers or {})
        return answer
