"""The notebooks as a reader runs them, with settings small enough for a test.

All run in one kernel whose names are wiped between them, and share one run, one search and the
strain fetched: a kernel, its imports and a training for each would take most of the time.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
from gwosc_files import write_file
from gwosc_server import GwoscServer, serving
from nbclient import NotebookClient
from search_run import chirp
from tiny import TINY

from ligo_cpc_snn.config.compose import load, load_root
from ligo_cpc_snn.config.roots import SEARCH
from ligo_cpc_snn.reports.search_files import read_search
from ligo_cpc_snn.strain.curves import aligo_curve
from ligo_cpc_snn.strain.noise import coloured_noise

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
SECONDS = 600  # for one cell
MOST_CODE_CELLS = 14
EVENT, GPS, RATE = "GW150914", 1126259462.4, 4096
START, LENGTH = 1126259447, 32  # s
PICTURES = {
    "01_strain_and_events": {
        "events": 1, "strain": 1, "asd": 1, "whiten": 1, "qtransform": 1, "signal": 1,
    },
    "02_what_cpc_learned": {
        "curves": 1, "windows": 1, "probe": 1, "mass": 1, "retrieval": 1, "pairs": 1,
    },
    "03_spikebridge_and_snn": {"run": 1, "inside": 1, "encodings": 1, "kept": 1},
    "04_training_and_ablations": {"learned": 2, "windows": 2, "ablation": 1, "stream": 1},
    "05_searching_real_strain": {"looked": 1, "loudest": 1, "slides": 1, "far": 1, "inverse": 1},
    "06_your_own_encoder": {"results": 2, "filters": 1},
}  # fmt: skip
# In place of the parameters of a notebook; {url} is the server's.
SMALL = {
    "01_strain_and_events": "HOST = {url!r}",
    "02_what_cpc_learned": f"OVERRIDES = {[*TINY, 'name=notebook_quickstart']}; WINDOWS = 64",
    "03_spikebridge_and_snn": "HOST = {url!r}",
    "04_training_and_ablations": f"OVERRIDES = {TINY}; VARIANTS = {{'quickstart': []}}",
    "05_searching_real_strain": "SEARCH = [*SEARCH, 'strain.gwosc.host=' + {url!r}, "
    "'strain.gwosc.event_seconds=32', 'background.slides=4', 'triggers.threshold=-4']",
    "06_your_own_encoder": f"OVERRIDES = {[*TINY, 'name=notebook_encoder']}",
}


def read(name: str) -> nbformat.NotebookNode:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def parameters(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    (cell,) = (c for c in code(notebook) if "parameters" in c.metadata.get("tags", []))
    return cell


def test_there_are_the_notebooks_of_the_list():
    assert set(PICTURES) == set(NOTEBOOKS) == set(SMALL)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_committed_without_what_a_run_leaves(name):
    """Outputs are large, differ from machine to machine and hide what a change is about."""
    cells = code(read(name))
    assert [cell.id for cell in cells if cell.outputs or cell.execution_count is not None] == []
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert re.findall(r"(?:/home|/root|/work|/tmp|/Users|C:\\\\)\S*", text) == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_thin(name):
    notebook = read(name)
    assert len(code(notebook)) <= MOST_CODE_CELLS
    longest = max(code(notebook), key=lambda cell: cell.source.count("\n"))
    assert longest.source.count("\n") < 40, longest.id
    text = sum(len(cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    assert text > 800  # it teaches


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_panel_says_what_it_shows_and_in_which_unit(name):
    for cell in code(read(name)):
        if "plt.subplots" in cell.source:
            for word in ("title", "xlabel", "ylabel"):
                assert word in cell.source, f"{cell.id} draws without {word}"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_a_notebook_refers_to_is_there(name):
    text = "\n".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")
    for found in re.findall(r"`(docs/[\w/-]+\.md)`", text):
        assert (FOLDER.parent / found).is_file(), found
    for found in re.findall(r"`(\w+\.ipynb)`", text):
        assert (FOLDER / found).is_file(), found


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_settings_that_a_reader_gets_are_valid(name):
    given: dict[str, object] = {}
    exec(parameters(read(name)).source, given)
    variants = given.get("VARIANTS", {"as it is": []})
    if "OVERRIDES" in given:
        for changed in variants.values():
            assert load([*given["OVERRIDES"], *changed]).run_dir.startswith("runs/")
    if "SEARCH" in given:
        assert load_root(given["SEARCH"], SEARCH).output_dir == "searches/notebook"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GwoscServer]:
    """Strain of two detectors around the event: noise of the design, and a merger in it."""
    folder = tmp_path / "strain"
    folder.mkdir()
    rng = np.random.default_rng(3)
    time = START + np.arange(LENGTH * RATE) / RATE - GPS
    for detector, delay in (("H1", 0.0), ("L1", 0.007)):
        noise = coloured_noise(rng, aligo_curve(), samples=time.size, sample_rate_hz=RATE)
        write_file(
            folder, detector, START, LENGTH, strain=noise + 4e-20 * chirp(time + delay, 28.0)
        )
    with serving(folder, {EVENT: GPS, "GW151012": 1128678900.4}) as served:
        yield served


def test_the_notebooks_run_from_top_to_bottom(server, tmp_path, monkeypatch):
    # Kernels keep a history, connection files and settings in the user's home.
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "LIGO_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    notebooks = {name: read(name) for name in NOTEBOOKS}
    everything = nbformat.v4.new_notebook()
    for name, notebook in notebooks.items():
        cell = parameters(notebook)
        cell.source += "\n" + SMALL[name].replace("{url!r}", repr(server.url))
        everything.cells += [nbformat.v4.new_code_cell("%reset -f"), *code(notebook)]
    for number, cell in enumerate(everything.cells):
        cell.id = f"cell{number}-{cell.id}"[:64]  # of several notebooks they need not differ
    # A cell that fails raises here, with its traceback.
    NotebookClient(
        everything,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    for name, notebook in notebooks.items():
        shown = {
            re.sub(r"^cell\d+-", "", cell.id): sum(
                "image/png" in output.get("data", {}) for output in cell.outputs
            )
            for cell in code(notebook)
        }
        assert {cell: count for cell, count in shown.items() if count} == PICTURES[name], name
    for run in ("notebook_quickstart", "notebook_encoder"):
        assert (tmp_path / "runs" / run / "report.html").is_file()
    found = read_search(tmp_path / "searches" / "notebook")
    loudest = found.triggers["time"][found.loudest_first[0]]
    assert abs(loudest - GPS) < 0.3  # the notebook's text says that this is the event
    assert server.fetched == [
        f"{d[0]}-{d}_GWOSC_4KHZ_R1-{START}-{LENGTH}.hdf5" for d in ("H1", "L1")
    ]
    assert not list(tmp_path.glob("*.ipynb"))
