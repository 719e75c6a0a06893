"""Every message of the code's errors, with … for what varies: a page of the documentation.

A hook of mkdocs. An error of this package names the thing, its value, what was expected and the
remedy, so the list of messages is a list of remedies. tests/test_docs_faq.py holds the hand-written
FAQ against the same list.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ligo_cpc_snn"
PAGE = "reference/errors.md"
VARIES = "…"
SHORTEST = 20  # characters that do not vary; less is a part of a message


class Message(NamedTuple):
    """A message of an error and the module that it is in."""

    text: str
    module: str


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Hook of mkdocs: add the page of messages."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """Return the Markdown page of all messages, by package."""
    parts = [
        "# Every error text\n",
        f"Taken from the code when this site is built; `{VARIES}` is what varies. The common "
        "ones are explained in [Errors and remedies](../faq.md).\n",
    ]
    package = ""
    for message in sorted(set(messages()), key=lambda one: (one.module, one.text)):
        first = message.module.split(".")[0]
        if first != package:
            package = first
            parts.append(f"\n## {package}\n")
        parts.append(f"- {_escaped(message.text)} <small>`{message.module}`</small>")
    return "\n".join(parts) + "\n"


def messages() -> Iterator[Message]:
    """Yield the messages that the package raises, or requires."""
    for file in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) or _requires(node):
                text = max(_texts(node), key=_told, default="")
                if _told(text) >= SHORTEST:
                    yield Message(" ".join(text.split()), module)


def texts() -> Iterator[str]:
    """Yield every text of the code, messages that are put together elsewhere among them."""
    for file in sorted(PACKAGE.rglob("*.py")):
        yield from _texts(ast.parse(file.read_text(encoding="utf-8")))


def _requires(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "require"


def _texts(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.JoinedStr):
            pieces = (p.value if isinstance(p, ast.Constant) else VARIES for p in part.values)
            yield re.sub(f"{VARIES}+", VARIES, "".join(map(str, pieces)))
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def _told(text: str) -> int:
    return len(text.replace(VARIES, "").strip())


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is."""
    marked = re.sub(r"([\\*_\[\]`|$])", r"\\\1", text)
    return marked.replace("<", "&lt;").replace(">", "&gt;")
