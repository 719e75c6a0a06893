"""Equations of the documentation as MathML, made when the site is built.

A browser lays MathML out by itself: no script and no font is fetched, the pages work offline.
Arithmatex marks the equations in a page, this hook of mkdocs turns each into MathML.
"""

import html
import re
from typing import Any

from latex2mathml.converter import convert

_MARKED = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


def on_page_content(content: str, **_: Any) -> str:
    """Hook of mkdocs: return a page's HTML with its equations as MathML."""
    return _MARKED.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found["tag"] == "div" else "inline"
    equation = convert(html.unescape(found["latex"]).strip(), display=display)
    if display == "inline":
        return equation
    # Wide equations scroll by themselves: the page of a phone does not.
    return f'<div class="equation">{equation}</div>'
