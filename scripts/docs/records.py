"""The written records of experiments/ as pages of the documentation, and parts of them in others.

A hook of mkdocs. Tables are nowhere copied: `<!-- from: experiments/x/README.md: Heading -->` in a
page is replaced by what stands under that heading when the site is built, `<!-- dates -->` by a
table of all records.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "experiments"
KINDS = (".md", ".png", ".svg", ".json")
CARDS = "ligo_cpc_snn/detectors"
DATES = "<!-- dates -->"
_FROM = re.compile(r"<!-- from: (?P<file>[^:]+): (?P<heading>.+?) -->")
_LINK = re.compile(r"(?P<open>!?\[[^\]]*\]\()(?P<target>[^)#\s]+)(?P<rest>[^)]*\))")


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Hook of mkdocs: add the records and their figures."""
    cards = (ROOT / CARDS).glob("*.md")
    for file in sorted([*(ROOT / FOLDER).rglob("*"), *cards]):
        if file.suffix in KINDS:
            name = file.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(file)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Hook of mkdocs: fill in the parts that other files hold."""
    here = Path(page.file.src_uri).parent

    def part(found: re.Match[str]) -> str:
        return section(found["file"], found["heading"], here)

    return _FROM.sub(part, markdown).replace(DATES, dates(here) if DATES in markdown else "")


def dates(here: Path) -> str:
    """Return a table of the records and the day on which each was last changed, by git."""
    rows = [
        f"| [{file.parent.name}/{file.name}]({'../' * len(here.parts)}{name}) | {_day(name)} |"
        for file in sorted((ROOT / FOLDER).rglob("*.md"))
        for name in [file.relative_to(ROOT).as_posix()]
    ]
    return "\n".join(["| record | last changed |", "|---|---|", *rows])


def _day(name: str) -> str:
    if shutil.which("git") is None:
        return "not known here: no git"
    command = ["git", "log", "-1", "--format=%as", "--", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.stdout.strip() or "not known here: not in a repository"


def section(name: str, heading: str, here: Path) -> str:
    """Return the text under a heading of a file of the repository, without the heading.

    Args:
        name: of the file, from the root of the repository.
        heading: without its `#`; `(top)`: what stands before the first one below the title.
        here: folder of the page that shows it; relative links are turned to it.

    Raises:
        PluginError: there is no such file or heading.
    """
    file = ROOT / name
    if not file.is_file():
        raise PluginError(f"from: {name}: there is no such file")
    parts = re.split(r"^(#+) +(.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for level, title, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        if title.strip() == heading or (heading == "(top)" and level == "#"):
            return _turned(text.strip(), Path(name).parent, here)
    raise PluginError(f"from: {name}: {heading}: there is no such heading")


def _turned(text: str, folder: Path, here: Path) -> str:
    up = "../" * len(here.parts)

    def turn(found: re.Match[str]) -> str:
        target = found["target"]
        if "://" in target:
            return found[0]
        return f"{found['open']}{up}{folder.as_posix()}/{target}{found['rest']}"

    return _LINK.sub(turn, text)
