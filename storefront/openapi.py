"""The routes' records in the OpenAPI page: their JSON Schemas from the msgspec structs."""

from typing import Any

import msgspec
from fastapi import FastAPI

from operators.records.contracts import Event
from storefront.events.event_warnings import EventWarning
from storefront.http.answers import Refused
from storefront.view.search_answer import SearchAnswer, Suggestions
from storefront.view.served_list import ServedItem, ServedList
from storefront.watching.ops import Overview


class Taken(msgspec.Struct, omit_defaults=True):
    """How many events were published, and which of their fields have no effect."""

    taken: int
    warnings: list[EventWarning] = []


EventBody = Event | list[Event]
_RECORDS = (ServedList, list[ServedItem], SearchAnswer, Suggestions, EventBody, Refused, Taken, Overview)
_record_schemas, _components = msgspec.json.schema_components(_RECORDS, ref_template="#/components/schemas/{name}")
_schemas = dict(zip(map(str, _RECORDS), _record_schemas, strict=True))


def content(record: Any) -> dict[str, Any]:
    """The OpenAPI content of a JSON body of this record, for `responses` or `requestBody`."""
    return {"content": {"application/json": {"schema": _schemas[str(record)]}}}


def add_components(app: FastAPI) -> None:
    """Adds the component schemas that the routes refer to."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        page = plain()
        page.setdefault("components", {}).setdefault("schemas", {}).update(_components)
        return page

    app.openapi = openapi  # type: ignore[method-assign]
