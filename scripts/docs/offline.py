"""The one script that mkdocs-material would fetch, taken from the site itself.

A hook of mkdocs. Its search needs a worker, which a page opened from a folder may not start;
the stand-in (docs/assets/iframe-worker.js, MIT licence) is loaded from unpkg.com otherwise.
"""

from typing import Any

from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

FETCHED = "https://unpkg.com/iframe-worker/shim"
OWN = "assets/iframe-worker.js"


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Hook of mkdocs: return a page's HTML with the script's own address."""
    return output.replace(FETCHED, get_relative_url(OWN, page.url))


def on_post_template(output_content: str, template_name: str, **_: Any) -> str:
    """Hook of mkdocs: the same for the page that a server shows for a wrong address."""
    return output_content.replace(FETCHED, f"/{OWN}")
