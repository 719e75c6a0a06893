"""The package as a user gets it: cheap to import, whole in the wheel."""

import importlib.util
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("jax", "jaxlib", "numpy", "scipy", "flax", "spyx", "hydra", "wandb", "matplotlib", "gwpy")


def test_import_is_cheap() -> None:
    """No clock here: what makes an import slow is named instead."""
    code = f"import ligo_cpc_snn, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


def test_config_imports_no_jax() -> None:
    code = (
        "import ligo_cpc_snn.config.command_line, ligo_cpc_snn.config.save, sys\n"
        "import ligo_cpc_snn.runtime.environment, ligo_cpc_snn.train\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('jax', 'jaxlib', 'flax')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the checkout; its build backend is fetched unless it is installed."""
    pytest.importorskip("build", reason="the wheel is built with the package build")
    folder = tmp_path_factory.mktemp("wheel")
    isolation = ["--no-isolation"] if importlib.util.find_spec("hatchling") else []
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", *isolation, "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
        timeout=300,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the wheel, and this one's packages for the rest."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # Paths of .pth files come after the folder itself: the wheel's files are found first. This
    # environment's own .pth files, the editable install among them, are not read.
    (site / "rest.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


def test_wheel_holds_configs_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "ligo_cpc_snn/conf/config.yaml" in names
    experiments = {path.name for path in (ROOT / "conf" / "experiment").glob("*.yaml")}
    assert {f"ligo_cpc_snn/conf/experiment/{name}" for name in experiments} <= names
    assert "ligo_cpc_snn/reports/template.html" in names
    detectors = {path.name for path in (ROOT / "ligo_cpc_snn" / "detectors").iterdir()}
    assert {f"ligo_cpc_snn/detectors/{name}" for name in detectors} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if re.match(r"(tests|scripts|experiments)/", name)]


def test_installed_wheel_works_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    code = "import ligo_cpc_snn.train as t, ligo_cpc_snn.config.compose as c; print(t.__file__)"
    code += "; print(c.config_dir())"
    done = run(installed, tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert Path(line).is_relative_to(installed.parents[1])
    shown = run(installed, tmp_path, "-m", "ligo_cpc_snn.train", "--cfg", "job", "name=x")
    assert shown.returncode == 0, shown.stderr
    assert "name: x\n" in shown.stdout
    wrong = run(installed, tmp_path, "-m", "ligo_cpc_snn.train", "sed=1")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert "did you mean seed?" in wrong.stderr
    usage = run(installed, tmp_path, "-m", "ligo_cpc_snn.train", "--help")
    assert "usage: python -m ligo_cpc_snn.train [+experiment=NAME]" in usage.stdout
    assert list(tmp_path.iterdir()) == []


def run(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("script", ["scripts/quickstart.sh", "scripts/test.sh", ".ci/run"])
def test_scripts_can_be_run_and_parse(script: str) -> None:
    file = ROOT / script
    assert file.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", file], check=True, timeout=30)


def test_no_file_names_a_path_of_one_machine() -> None:
    """A developer's own folders work nowhere else."""
    wrong = [
        f"{file.relative_to(ROOT)}: {line}"
        for folder in ("ligo_cpc_snn", "conf", "scripts")
        for file in sorted((ROOT / folder).rglob("*"))
        if file.suffix in (".py", ".yaml", ".sh")
        for line in file.read_text().splitlines()
        if re.search(r"[\"' =](/work/|/home/|/Users/|/root/)", line)
    ]
    assert wrong == []


def test_documents_are_filled_in_and_their_links_exist() -> None:
    pages = [ROOT / "README.md", *(ROOT / "experiments").glob("*/README.md")]
    assert len(pages) >= 3
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"@[A-Z_]+@", text), page
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("http") or (page.parent / target).exists(), (page, target)
