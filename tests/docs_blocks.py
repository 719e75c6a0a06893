"""The fenced blocks of README.md and docs/: which there are, and what each is marked to be.

The mark is a comment of HTML on the line above a block, or once near the top of a page for all of
its blocks that have none:

    <!-- run -->                    executed as it stands
    <!-- run: with training -->     executed with the named small settings added (SMALL below)
    <!-- composed: why -->          not executed; its settings are composed and checked
    <!-- not run: why -->
    <!-- file: NAME -->             written to that file before the blocks below it run
    <!-- blocks: not run: why -->   of the page
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tiny import TINY

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = ("sh", "bash", "console", "shell", "python")
KINDS = ("run", "composed", "not run", "file")
# Added to a training's or a search's command so that it takes seconds; nothing else is changed.
SMALL = {
    "training": [*TINY, "trackers.progress=false"],
    "slides": ["background.slides=4"],
}
TRAINING = ("ligo-train", "python -m ligo_cpc_snn.train")
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *```$", re.M | re.S)
_MARK = re.compile(r"<!-- (?P<kind>run|composed|not run|file)(?:: (?P<why>[^>]+?))? -->\s*\Z", re.S)
_PAGE = re.compile(r"<!-- blocks: (?P<kind>composed|not run): (?P<why>[^>]+?) -->", re.S)


class Block(NamedTuple):
    """A fenced block and its mark; `kind` is empty where there is none."""

    page: Path
    line: int
    language: str
    text: str
    kind: str
    why: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return every page that a reader takes commands from."""
    own = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    records = [*(ROOT / "experiments").rglob("*.md"), *(ROOT / "ligo_cpc_snn").rglob("*.md")]
    return own + sorted(records)


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page that hold commands or code, or are files of it."""
    return list(_blocks(page))


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    whole = _PAGE.search(text)
    for fence in _FENCE.finditer(text):
        mark = _MARK.search(text, 0, fence.start()) or whole
        kind, why = (mark["kind"], mark["why"] or "") if mark else ("", "")
        if fence["language"] in LANGUAGES or kind == "file":
            inner = re.sub(rf"^{fence['indent']}", "", fence["text"], flags=re.M)
            line = text.count("\n", 0, fence.start()) + 1
            yield Block(page, line, fence["language"], inner, kind, why)


def commands(text: str) -> list[str]:
    """Return the command lines of a block of shell, continued lines joined, without comments."""
    joined = re.sub(r"\\\n\s*", " ", text)
    stripped = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in stripped if line]


def script(block: Block) -> str:
    """Return a block of shell with the small settings that its mark names."""
    found = re.fullmatch(r"with (\w+)", block.why)
    if found is None:
        return block.text
    small = shlex.join(SMALL[found[1]])
    lines = commands(block.text)
    return "\n".join(f"{line} {small}" if _takes(line, found[1]) else line for line in lines)


def _takes(line: str, name: str) -> bool:
    starts = TRAINING if name == "training" else ("ligo-search",)
    return line.startswith(starts) and "--help" not in line
