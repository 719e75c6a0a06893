"""Logs, devices and the allocator."""

import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from ligo_cpc_snn.config.schema import RuntimeConfig
from ligo_cpc_snn.runtime import devices, logs, memory_limits
from ligo_cpc_snn.runtime.allocator import keep_pages


@pytest.fixture
def log_file(tmp_path: Path):
    """The log of a run; the logging of the test process is put back afterwards."""
    root = logging.getLogger()
    level = root.level
    yield logs.setup(tmp_path, "INFO")
    logs.close()
    root.setLevel(level)


def test_log_has_levels_and_leaves_chatter_out(log_file: Path) -> None:
    logging.getLogger("ligo_cpc_snn.training").info("step 5")
    logging.getLogger("ligo_cpc_snn.training").debug("too fine")
    logging.getLogger("orbax.checkpoint").info("chatter")
    logging.getLogger("jax._src.xla_bridge").info("chatter")
    logging.getLogger("orbax.checkpoint").warning("a disk is slow")
    text = log_file.read_text()
    assert "INFO    ligo_cpc_snn.training: step 5" in text
    assert "WARNING orbax.checkpoint: a disk is slow" in text
    assert "chatter" not in text
    assert "too fine" not in text


def test_warnings_go_to_the_log(log_file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("a number is odd", stacklevel=1)
    assert "a number is odd" in log_file.read_text()


def test_second_setup_does_not_double_the_lines(log_file: Path) -> None:
    logs.setup(log_file.parent, "INFO")
    logging.getLogger("ligo_cpc_snn").info("once")
    assert log_file.read_text().count("once") == 1


def _failed(name: str) -> None:
    try:
        raise OSError("No space left")
    except OSError:
        logging.getLogger(name).exception("saving failed")


def test_the_terminal_has_no_traceback_of_others_and_the_file_has(
    capsys: pytest.CaptureFixture[str], log_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.setup(log_file.parent)  # again: the terminal is now this test's
    _failed("absl")
    told = capsys.readouterr().err
    assert "saving failed" in told
    assert "Traceback" not in told
    assert log_file.read_text().count("Traceback") == 1
    _failed("ligo_cpc_snn")
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("LIGO_TRACEBACK", "1")
    _failed("absl")
    assert "OSError: No space left" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_costs_the_log_lines_and_is_told_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / logs.LOG_FILE).symlink_to("/dev/full")
    level = logging.getLogger().level
    try:
        logs.setup(tmp_path)
        for step in range(3):
            logging.getLogger("ligo_cpc_snn").info("step %d", step)
    finally:
        logs.close()
        logging.getLogger().setLevel(level)
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert told.count("will miss lines") == 1
    assert told.count("No space left") == 1
    assert "step 2" in told


def test_device_is_described() -> None:
    found = devices.describe_device()
    assert found["platform"]
    assert found["cores"] >= 1
    assert found["host_memory_bytes"] > 1e8


def test_memory_budget_is_what_was_given_or_a_fraction() -> None:
    assert devices.memory_budget_bytes(RuntimeConfig(memory_budget_gb=1.5)) == 1_500_000_000
    whole = devices.memory_budget_bytes(RuntimeConfig(memory_fraction=1.0))
    tenth = devices.memory_budget_bytes(RuntimeConfig(memory_fraction=0.1))
    assert 0 < tenth < whole <= memory_limits.total_bytes()


def test_peak_memory_grows_with_use() -> None:
    code = (
        "from ligo_cpc_snn.runtime.devices import peak_memory_bytes\n"
        "before = peak_memory_bytes()\n"
        "block = bytearray(200_000_000)\n"
        "assert 190e6 < peak_memory_bytes() - before < 250e6"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_limit_of_a_container_is_respected(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(memory_limits, "GROUPS", tmp_path)
    monkeypatch.setattr(memory_limits, "OWN", tmp_path / "own")
    job = tmp_path / "slurm/job_7"  # what a cluster limits is below the root
    job.mkdir(parents=True)
    (tmp_path / "own").write_text("1:cpu:/elsewhere\n0::/slurm/job_7\n")
    for folder, limit in ((tmp_path, "2000"), (job.parent, "max"), (job, "1000")):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text("400\n")
    assert memory_limits.available_bytes() == 600
    assert memory_limits.total_bytes() == 1000
    (job / "memory.max").write_text("max\n")
    assert memory_limits.total_bytes() == 2000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_limits.total_bytes() > 1e8


def test_limit_of_the_first_kind_of_groups_is_respected(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(memory_limits, "GROUPS", tmp_path)
    monkeypatch.setattr(memory_limits, "OWN", tmp_path / "own")
    (tmp_path / "own").write_text("4:cpu,memory:/job\n")
    (tmp_path / "memory/job").mkdir(parents=True)
    (tmp_path / "memory/job/memory.limit_in_bytes").write_text("3000")
    (tmp_path / "memory/job/memory.usage_in_bytes").write_text("1000")
    assert (memory_limits.available_bytes(), memory_limits.total_bytes()) == (2000, 3000)


def test_allocator_is_left_to_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TOP_PAD_", "65536")
    assert "MALLOC_TOP_PAD_" in keep_pages() or "not glibc" in keep_pages()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_allocator_keeps_pages_between_uses() -> None:
    """A block given back and taken again costs its page faults only once."""
    code = """
import resource
from ligo_cpc_snn.runtime.allocator import keep_pages
if "glibc keeps pages" not in keep_pages():
    raise SystemExit(0)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(b"x") * 50_000_000
before = faults()
for _ in range(5):
    bytearray(b"x") * 40_000_000
assert faults() - before < 5000, faults() - before
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_astropy_can_be_imported_after_the_log_was_set_up(tmp_path: Path) -> None:
    """Its logger is of a class of its own: gwpy fails to import where ours was made first."""
    code = (
        f"from ligo_cpc_snn.runtime import logs; logs.setup({str(tmp_path)!r}); "
        "import gwpy.timeseries"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
