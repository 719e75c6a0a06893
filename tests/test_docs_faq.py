"""The FAQ's headings are texts of the code: a message that was reworded fails here."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
FAQ = ROOT / "docs" / "faq.md"
HEADINGS = re.findall(r"^### `(.+)`$", FAQ.read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.fixture(scope="module")
def error_texts() -> ModuleType:
    pytest.importorskip("mkdocs", reason="the documentation is built with mkdocs (extra docs)")
    path = ROOT / "scripts" / "docs" / "error_texts.py"
    spec = importlib.util.spec_from_file_location("error_texts", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flat(text: str) -> str:
    return " ".join(text.split())


def told(heading: str) -> str:
    """A heading without the … at its end: the message may go on."""
    return heading.removesuffix("…").rstrip()


def test_there_are_headings():
    assert len(HEADINGS) > 25


def test_each_heading_is_a_text_of_the_code(error_texts):
    known = [flat(text) for text in error_texts.texts()]
    lost = [heading for heading in HEADINGS if not any(told(heading) in text for text in known)]
    assert lost == [], "reworded or gone from the code: change docs/faq.md"


def test_a_reworded_text_is_found(error_texts):
    known = [flat(text) for text in error_texts.texts()]
    assert not any("unknown setting …: … has …" in text for text in known)


def test_the_page_of_all_texts_holds_the_common_ones(error_texts):
    page = error_texts.page()
    assert page.count("\n- ") > 200
    assert "unknown key …" in page
    assert "&lt;" in page  # escaped, not tags
