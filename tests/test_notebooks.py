"""The notebooks as a reader runs them, with settings small enough for a test."""

import ast
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from tiny import TINY

from ligo_cpc_snn.config.compose import load

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "first_run.ipynb"
PICTURES = {"noise": 1, "signal": 1, "figures": 4, "search": 1}  # by cell
SECONDS = 600  # for one cell


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    found = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(found)
    return found


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def settings_cell(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    (cell,) = (cell for cell in code(notebook) if cell.source.startswith("OVERRIDES = ["))
    return cell


def test_the_committed_notebook_has_no_outputs(notebook):
    """They are large, differ from machine to machine and hide what a change is about."""
    assert [cell.id for cell in code(notebook) if cell.outputs] == []
    assert [cell.id for cell in code(notebook) if cell.execution_count is not None] == []


def test_the_settings_of_the_notebook_are_valid(notebook):
    overrides = ast.literal_eval(settings_cell(notebook).source.removeprefix("OVERRIDES = "))
    assert load(overrides).run_dir == "runs/notebook"


def test_the_notebook_runs_from_top_to_bottom(notebook, tmp_path, monkeypatch):
    # Kernels keep a history, connection files and settings in the user's home.
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "LIGO_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    run_dir = tmp_path / "run"
    settings_cell(notebook).source = f"OVERRIDES = {[*TINY, f'run_dir={run_dir}']!r}"
    # A cell that fails raises here, with its traceback.
    NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    shown = {
        cell.id: sum("image/png" in output.get("data", {}) for output in cell.outputs)
        for cell in code(notebook)
    }
    assert {name: count for name, count in shown.items() if count} == PICTURES
    assert (run_dir / "report.html").is_file()
