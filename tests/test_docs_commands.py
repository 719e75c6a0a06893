"""Every command and piece of code of README and documentation: run, composed, or said why not."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from docs_blocks import KINDS, ROOT, Block, blocks, commands, pages, script

from ligo_cpc_snn.config import compose as composing
from ligo_cpc_snn.config import overrides
from ligo_cpc_snn.config.roots import EVALUATION, SEARCH, TRAINING
from ligo_cpc_snn.config.search_arguments import to_overrides

SECONDS = 300  # for one page's block on a busy machine
PROGRAMS = {
    "ligo-train": TRAINING,
    "ligo-search": SEARCH,
    "ligo-evaluate": EVALUATION,
    "python -m ligo_cpc_snn.train": TRAINING,
    "python -m ligo_cpc_snn.search": SEARCH,
    "python -m ligo_cpc_snn.evaluate": EVALUATION,
}
# Options of the commands that are no settings; --cfg and the like are not in composed blocks.
FLAGS = ("-m", "--multirun")
ALL = [block for page in pages() for block in blocks(page)]
RUNNABLE = [page for page in pages() if any(block.kind == "run" for block in blocks(page))]


def test_the_collector_sees_commands_and_their_marks() -> None:
    assert len(ALL) > 30
    assert {block.kind for block in ALL} >= {"run", "composed", "not run", "file"}
    assert commands("a \\\n  b # c\n# d\n\ne\n") == ["a  b", "e"]


@pytest.mark.parametrize("block", ALL, ids=str)
def test_each_block_says_whether_it_is_run(block: Block) -> None:
    """A block without a mark, and a mark without a reason, are what this is for."""
    assert block.kind in KINDS, f"{block} has no mark: see tests/docs_blocks.py"
    if block.kind in ("composed", "not run", "file"):
        assert block.why, f"{block} does not say why, or which file"


@pytest.fixture
def new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with what placeholders of the documentation stand for, and conf/ in it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    monkeypatch.setattr(composing, "config_dir", lambda: tmp_path / "conf")
    for name in ("FOLDER", "own", "/data/O3"):
        (tmp_path / name.lstrip("/")).mkdir(parents=True)
    for name in ("FILE", "H1_FILE", "L1_FILE"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("block", [b for b in ALL if b.kind == "composed"], ids=str)
def test_composed_commands_have_settings_that_exist(block: Block, new_folder: Path) -> None:
    """Every key, value and choice is looked up as at the start of the command itself."""
    lines = [line for line in commands(block.text) if program(line) and "--list-" not in line]
    assert lines, f"{block}: nothing here can be composed, mark it otherwise"
    for file in (one for one in blocks(block.page) if one.kind == "file"):
        if file.why.startswith("conf/"):  # as a reader puts it beside the others
            (new_folder / file.why).write_text(file.text, encoding="utf-8")
    for line in lines:
        compose(line, block)


def program(line: str) -> str:
    return next((name for name in PROGRAMS if f"{line} ".startswith(f"{name} ")), "")


def compose(line: str, block: Block) -> None:
    name = program(line)
    root = PROGRAMS[name]
    words = shlex.split(line.removeprefix(name))
    swept = any(word in FLAGS for word in words) or "+sweep=" in line
    words = [word for word in words if word not in FLAGS]
    if root is SEARCH:
        words = to_overrides(words)
    if swept:
        parsed = overrides.parse(words)
        overrides.check(parsed, composing.config_dir(), root)
        overrides.check_files(composing.config_dir(), parsed, root)
    else:
        composing.load_root(words, root)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled programs are shared by the commands of all pages."""
    return tmp_path_factory.mktemp("documentation-cache")


@pytest.fixture(scope="session")
def run(cache: Path) -> Callable[[list[str], Path], subprocess.CompletedProcess[str]]:
    """Start a process as a reader's shell would: this environment's programs, no key, no GPU."""
    bin_folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "LIGO_CACHE_DIR": str(cache),
        "LIGO_PLATFORM": "cpu",
        "WANDB_MODE": "offline",
        "HOME": str(cache),
        "MPLBACKEND": "agg",
    }

    def start(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
        )

    return start


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_commands_of_a_page_work_from_an_empty_folder(page, run, tmp_path) -> None:
    """In the order of the page, in one folder, as a reader goes through it."""
    for block in blocks(page):
        if block.kind == "file":
            file = tmp_path / block.why
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        if block.kind != "run":
            continue
        if block.language == "python":
            command = [sys.executable, "-c", block.text]
        else:
            command = ["bash", "-euo", "pipefail", "-c", script(block)]
        done = run(command, tmp_path)
        assert done.returncode == 0, f"{block}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    shutil.rmtree(tmp_path, ignore_errors=True)
