"""The pages: the demo shop, the operations, and the description of the HTTP interface.

All that they load comes from here: `/docs` works offline, and the content policy allows nothing from elsewhere and
nothing inline.
"""

from pathlib import Path

import fastapi_offline
from fastapi import FastAPI, Response
from fastapi.responses import FileResponse

from storefront.http.answers import refusal

PAGE = Path(__file__).resolve().parents[1] / "page"
PAGES = {"/": "index.html", "/ops": "ops.html", "/docs": "docs.html"}
SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")


def add_pages(app: FastAPI) -> None:
    """Adds the routes of the pages and of the files that they load."""
    swagger = Path(fastapi_offline.__file__).with_name("static")
    assets = {file.name: file for file in PAGE.iterdir() if file.suffix != ".html"}
    assets |= {name: swagger / name for name in SWAGGER}

    def page(path: str, file: Path) -> None:
        @app.get(path, include_in_schema=False)
        def serve() -> FileResponse:
            return FileResponse(file)

    for path, name in PAGES.items():
        page(path, PAGE / name)

    @app.get("/page/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        file = assets.get(name)
        if file is None:
            return refusal(404, "not_found", "expected a file of a page; came another name. Next: open /.")
        return FileResponse(file)
