"""One page of the documentation for each package, its text the docstrings of the code.

A hook of mkdocs. mkdocstrings reads the sources without importing them.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ligo_cpc_snn"
FOLDER = "reference/api"


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Hook of mkdocs: add the pages of the API and their index."""
    rows = []
    for name, modules in packages().items():
        files.append(File.generated(config, f"{FOLDER}/{name}.md", content=page(name, modules)))
        rows.append(f"| [`{name}`](api/{name}.md) | {_first_line(_file_of(modules[0]))} |")
    table = "\n".join(["| package | what it is |", "|---|---|", *rows])
    index = (
        "# Python API\n\nFrom the docstrings. Shapes stand in the signatures, as "
        '`Float[Array, "batch detector time"]`. Imports point one way: '
        "[the contracts](files.md#contracts) have the list.\n\n" + table + "\n"
    )
    files.append(File.generated(config, f"{FOLDER}.md", content=index))
    return files


def packages() -> dict[str, list[str]]:
    """Return the modules of each package, and those at the top as `top`."""
    found: dict[str, list[str]] = {}
    for init in sorted(PACKAGE.glob("*/__init__.py")):
        folder = init.parent
        found[folder.name] = [f"ligo_cpc_snn.{folder.name}", *_modules(folder)]
    found["top"] = ["ligo_cpc_snn", *_modules(PACKAGE, deep=False)]
    return found


def page(name: str, modules: list[str]) -> str:
    """Return the Markdown of a package: its modules one after the other."""
    title = "ligo_cpc_snn" if name == "top" else f"ligo_cpc_snn.{name}"
    parts = [f"# {title}\n", f"{_doc(_file_of(modules[0]))}\n"]
    for module in modules[1:]:
        parts.append(f"::: {module}\n    options:\n      heading_level: 2\n")
    return "\n".join(parts)


def _modules(folder: Path, deep: bool = True) -> Iterator[str]:
    for file in sorted(folder.glob("**/*.py" if deep else "*.py")):
        name = file.relative_to(ROOT).with_suffix("")
        if file.name not in ("__init__.py", "__main__.py"):
            yield ".".join(name.parts)


def _file_of(module: str) -> Path:
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _doc(file: Path) -> str:
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""


def _first_line(file: Path) -> str:
    return _doc(file).partition("\n\n")[0].replace("\n", " ")
