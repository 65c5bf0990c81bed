"""mkdocs hooks for folders in the navigation and for links to files of the checkout that are not pages."""

import logging
import os
import re
from pathlib import Path
from typing import Any

log = logging.getLogger("mkdocs.hooks.liveshelf")  # a warning below `mkdocs` fails a strict build
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: Any) -> None:
    """A folder of the navigation (`Title: folder/`) becomes its pages by name, README.md first."""
    docs = Path(config["docs_dir"])
    for entry in config["nav"]:
        for title, path in entry.items() if isinstance(entry, dict) else ():
            if isinstance(path, str) and path.endswith("/"):
                pages = sorted(docs.glob(f"{path}*.md"), key=lambda page: (page.name != "README.md", page.name))
                entry[title] = [page.relative_to(docs).as_posix() for page in pages]


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Replaces a link that leaves docs/ by its text and the file's path, because the site does not contain the file."""
    docs = Path(config["docs_dir"])
    folder = (docs / page.file.src_uri).parent

    def replacement(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        if ":" in link[2] or target.is_relative_to(docs):
            return link[0]
        if not target.exists():
            log.warning(f"{page.file.src_uri} links to {link[2]}, which does not exist")
        path = os.path.relpath(target, docs.parent)
        return link[1] if path in link[1] else f"{link[1]} (`{path}`)"

    return LINK.sub(replacement, markdown)
