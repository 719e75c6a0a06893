"""The documentation as it is built: without a warning, whole, and readable without a network."""

import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from browser import WAIT_SECONDS, Browser, browser, chromium

from ligo_cpc_snn.config.fields import all_keys, field_types
from ligo_cpc_snn.config.roots import EVALUATION, SEARCH, TRAINING
from ligo_cpc_snn.config.signals_schema import PriorConfig

pytest.importorskip("mkdocs", reason="the documentation is built with mkdocs (extra docs)")

ROOT = Path(__file__).resolve().parents[1]
ROOTS = {"training": TRAINING, "search": SEARCH, "evaluation": EVALUATION}


def hook(name: str) -> ModuleType:
    path = ROOT / "scripts" / "docs" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site with warnings as errors; links and anchors within it are checked by mkdocs."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_the_site_has_all_pages_and_needs_no_network(site: Path) -> None:
    pages = {page.relative_to(site).as_posix() for page in site.rglob("*.html")}
    written = {p.relative_to(ROOT / "docs").with_suffix(".html") for p in ROOT.glob("docs/**/*.md")}
    assert {path.as_posix() for path in written} <= pages
    records = {p.parent.name for p in ROOT.glob("experiments/*/README.md")}
    assert {f"experiments/{name}/index.html" for name in records} <= pages
    for page in sorted(pages):
        text = (site / page).read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe)[^>]* src=\"?https?:[^\s>]*", text)
        styled = re.findall(r"<link[^>]* rel=\"?(?:styles|precon)[^>]* href=\"?https?:", text)
        assert fetched + styled == [], page


def test_equations_are_there_and_are_no_latex(site: Path) -> None:
    pages = sorted((site / "concepts").glob("*.html"))
    assert sum(page.read_text(encoding="utf-8").count("<math") for page in pages) > 40
    for page in pages:
        body = page.read_text(encoding="utf-8")
        assert "arithmatex" not in body, page
        assert not re.search(r"<m[ino]>\\\w+</m", body), f"{page}: a command nobody translated"


def test_the_parts_of_records_are_filled_in(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert "<!-- from:" not in page.read_text(encoding="utf-8"), page
    compare = (site / "compare.html").read_text(encoding="utf-8")
    assert "2782" in compare
    assert "spikingjelly" in compare


def test_a_page_of_a_phone_does_not_scroll_sideways(site: Path, tmp_path: Path) -> None:
    if chromium() is None:
        pytest.skip("no chromium on this machine")
    with browser(tmp_path / "profile") as page:
        page.look(390, 844)
        for name in ("index", "concepts/network", "compare", "reference/config-training", "faq"):
            show(page, site / f"{name}.html")
            wide = page.run("document.scrollingElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{name} is {wide} px wider than a phone"
        assert page.errors == []
        assert [url for url in page.requests if url.startswith("http")] == []


def show(page: Browser, file: Path) -> None:
    """Open a page and wait until it is laid out."""
    page.send("Page.navigate", url=file.as_uri())
    until = time.monotonic() + WAIT_SECONDS
    there = f"location.href === '{file.as_uri()}' && document.readyState === 'complete'"
    while not page.run(there):
        assert time.monotonic() < until, f"{file} did not load within {WAIT_SECONDS:g} s"
        time.sleep(0.05)


@pytest.mark.parametrize("name", ROOTS)
def test_every_key_of_the_schema_is_in_the_reference(name: str) -> None:
    reference, root = hook("config_reference"), ROOTS[name]
    text = reference.page("title", root, "command")
    priors = [key for key in all_keys(root.schema) if _is_prior(key, root.schema)]
    for key in all_keys(root.schema):
        if not any(key.startswith(f"{prior}.") for prior in priors):
            assert f"`{key}`" in text or f"`{key}." in text, key


def _is_prior(key: str, schema: type) -> bool:
    kind: type = schema
    for part in key.split("."):
        kind = field_types(kind).get(part, object)  # type: ignore[assignment]
        if not hasattr(kind, "__dataclass_fields__"):
            return False
    return kind is PriorConfig


def test_the_reference_says_units_defaults_and_choices() -> None:
    text = hook("config_reference").page("title", TRAINING, "command")
    rows = {row.split("|")[1].strip(): row for row in text.splitlines() if row.startswith("| `")}
    assert "| `2.0` | whitening filter; half of it is cropped" in rows["`data.filter_seconds`"]
    assert "one of never, auto, must" in rows["`resume`"]
    assert "Causal convolutions before" in rows["`model.context.dilations`"]  # a comment above
    assert "power_law 100 to 2000, index 2" in rows["`data.signals.population.distance`"]


def test_every_module_has_a_docstring_and_a_place_in_the_api() -> None:
    api = hook("api_pages")
    listed = {module for modules in api.packages().values() for module in modules}
    for file in (ROOT / "ligo_cpc_snn").rglob("*.py"):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if file.name in ("__init__.py", "__main__.py"):
            continue
        assert module in listed, module
        assert api._doc(file), f"{module} has no docstring"


def test_a_missing_record_ends_the_build() -> None:
    from mkdocs.exceptions import PluginError

    records = hook("records")
    with pytest.raises(PluginError, match="no such file"):
        records.section("experiments/none.md", "Result", Path("."))
    with pytest.raises(PluginError, match="no such heading"):
        records.section("experiments/quickstart/README.md", "No heading", Path("."))


def test_the_citation_is_of_this_version() -> None:
    import yaml

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert version[1].removesuffix(".dev0") == cited["version"]
    assert {"cff-version", "message", "title", "authors", "license"} <= cited.keys()
