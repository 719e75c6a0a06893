"""The notebooks as a page of the documentation: title and first paragraph of each.

A hook of mkdocs. Notebooks are run in CI and kept without outputs, so the page says what they are.
"""

import json
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PAGE = "notebooks.md"


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Hook of mkdocs: add the page of notebooks."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """Return the Markdown of all notebooks, in the order of their names."""
    parts = [
        "# Notebooks\n",
        "In `notebooks/` of a checkout; `pip install '.[notebooks]'` installs a kernel. They "
        "import the package and are run in CI on tiny settings.\n",
    ]
    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        title, about = _beginning(file)
        parts.append(f"## {title}\n\n`notebooks/{file.name}`\n\n{about}\n")
    return "\n".join(parts)


def _beginning(file: Path) -> tuple[str, str]:
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    text = "".join(cells[0]["source"]).strip()
    title, _, rest = text.partition("\n")
    return title.lstrip("# "), rest.strip().partition("\n\n")[0]
