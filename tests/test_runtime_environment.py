"""The environment is set before JAX, the user's variables win, unknown flags never reach XLA."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ligo_cpc_snn.runtime import choice, platforms, probe
from ligo_cpc_snn.runtime.choice import choose_platform
from ligo_cpc_snn.runtime.platforms import Availability, PlatformError

CHOSEN_BY = ("JAX_", "XLA_", "LIGO_", "MALLOC_", "TF_CPP", "GLIBC_TUNABLES")
SCRIPT = """
import json, sys
from ligo_cpc_snn.runtime import environment
assert "jax" not in sys.modules
try:
    report = environment.prepare({platform!r}, 0.25, {cache})
    environment.verify_platform(report)
except environment.PlatformError as error:
    print(json.dumps({{"error": str(error)}}))
    sys.exit(1)
import jax
print(json.dumps({{
    "line": report.line(),
    "platform": report.platform,
    "backend": jax.default_backend(),
    "cache": jax.config.jax_compilation_cache_dir,
    "again": environment.prepare({platform!r}, 0.25, {cache}) is report,
    "variables": {{k: [v.value, v.set_by] for k, v in report.variables.items()}},
    "value": float(jax.jit(lambda x: x + 1)(1.0)),
}}))
"""


def prepare(tmp_path: Path, platform: str = "auto", cache: bool = True, **variables: str) -> dict:
    """Run `prepare` in a process of its own and return what it saw."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(CHOSEN_BY)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(platform=platform, cache=cache)],
        env={**clean, "LIGO_CACHE_DIR": str(tmp_path / "cache"), **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_variables_are_set_and_programs_are_kept(tmp_path: Path) -> None:
    seen = prepare(tmp_path, "cpu")
    assert (seen["platform"], seen["backend"], seen["value"]) == ("cpu", "cpu", 2.0)
    assert seen["variables"]["XLA_PYTHON_CLIENT_MEM_FRACTION"] == ["0.25", "ligo_cpc_snn"]
    assert seen["variables"]["XLA_PYTHON_CLIENT_PREALLOCATE"] == ["false", "ligo_cpc_snn"]
    assert seen["variables"]["JAX_THREEFRY_PARTITIONABLE"] == ["true", "ligo_cpc_snn"]
    assert Path(seen["cache"]).parent == tmp_path / "cache"
    assert any(Path(seen["cache"]).iterdir())
    assert "runtime.platform=cpu" in seen["line"]
    assert seen["again"]


def test_variables_of_the_user_win(tmp_path: Path) -> None:
    own = str(tmp_path / "own")
    seen = prepare(
        tmp_path,
        "mps",
        LIGO_PLATFORM="cpu",
        LIGO_MEM_FRACTION="0.75",
        XLA_PYTHON_CLIENT_PREALLOCATE="true",
        JAX_COMPILATION_CACHE_DIR=own,
        XLA_FLAGS="--xla_cpu_enable_fast_math=false",
    )
    assert seen["platform"] == "cpu"
    assert seen["variables"]["XLA_PYTHON_CLIENT_MEM_FRACTION"][0] == "0.75"
    assert seen["variables"]["XLA_PYTHON_CLIENT_PREALLOCATE"] == ["true", "user"]
    assert seen["cache"] == own
    assert "LIGO_PLATFORM=cpu" in seen["line"]
    assert "set by the user: XLA_PYTHON_CLIENT_PREALLOCATE" in seen["line"]


def test_cache_can_be_switched_off(tmp_path: Path) -> None:
    seen = prepare(tmp_path, "cpu", cache=False)
    assert not (tmp_path / "cache").exists()
    assert "compilation cache off" in seen["line"]


def test_cache_folder_that_cannot_be_made_is_said_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    seen = prepare(tmp_path, "cpu", LIGO_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert seen["value"] == 2.0
    assert "cannot be made" in seen["line"]


def test_flag_of_the_user_that_xla_does_not_know_is_an_error_not_an_abort(tmp_path: Path) -> None:
    seen = prepare(tmp_path, "cpu", XLA_FLAGS="--xla_no_such_flag=1")
    assert "XLA_FLAGS has --xla_no_such_flag=1" in seen["error"]


def test_wrong_memory_fraction_is_named(tmp_path: Path) -> None:
    seen = prepare(tmp_path, "cpu", LIGO_MEM_FRACTION="half")
    assert seen["error"] == "LIGO_MEM_FRACTION=half: expected a number in (0, 1]"


def test_prepare_after_jax_is_refused(tmp_path: Path) -> None:
    code = (
        "import jax\nfrom ligo_cpc_snn.runtime import environment\n"
        "environment.prepare('cpu', 0.5, False)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "JAX was imported before" in done.stderr


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variable of the user, whatever the machine has."""
    for name in list(os.environ):
        if name.startswith(CHOSEN_BY):
            monkeypatch.delenv(name)
    return monkeypatch


def test_platform_that_is_not_here_lists_those_that_are(unset: pytest.MonkeyPatch) -> None:
    unset.setattr(platforms, "_plugin", lambda platform: None)
    with pytest.raises(PlatformError, match=r"cuda is not usable here: no JAX plug-in .*: cpu$"):
        choose_platform("cuda", None)


def test_unknown_platform_lists_the_known(unset: pytest.MonkeyPatch) -> None:
    unset.setenv("LIGO_PLATFORM", "tpux")
    with pytest.raises(PlatformError, match="LIGO_PLATFORM=tpux: expected auto, cpu, metal"):
        choose_platform("cpu", None)


def test_platform_against_jax_platforms_is_an_error(unset: pytest.MonkeyPatch) -> None:
    unset.setenv("JAX_PLATFORMS", "cpu")
    with pytest.raises(PlatformError, match="JAX_PLATFORMS=cpu leaves it out"):
        choose_platform("cuda", None)
    assert choose_platform("auto", None).reason == "JAX_PLATFORMS=cpu"


def test_auto_passes_over_a_gpu_that_does_not_start(unset: pytest.MonkeyPatch) -> None:
    """The plug-in is there, its trial fails as on a machine with a broken driver."""
    here = {"cuda", "cpu"}
    unset.setattr(choice, "availability", lambda name: Availability(name in here, "not here"))
    chosen = choose_platform("auto", None)
    assert chosen.platform == "cpu"
    assert "no cuda" in chosen.reason
    assert chosen.flags == []


def test_unknown_flags_are_dropped_and_known_ones_kept(tmp_path: Path) -> None:
    known, unknown = "--xla_cpu_enable_fast_math=false", ["--xla_gone=1", "--xla_cpu_gone=true"]
    trial = probe.try_flags("cpu", [unknown[0], known, unknown[1]], tmp_path)
    assert trial.accepted == [known]
    assert sorted(trial.unknown) == sorted(unknown)
    assert trial.failure == ""


def test_trial_is_remembered_and_a_broken_memory_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = probe.try_flags("cpu", ["--xla_cpu_enable_fast_math=false"], tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(probe, "_run", lambda platform, flags: "it was not remembered")
        assert probe.try_flags("cpu", ["--xla_cpu_enable_fast_math=false"], tmp_path) == first
    (remembered,) = tmp_path.glob("trial-*.json")
    remembered.write_text('{"accep')
    assert probe.try_flags("cpu", ["--xla_cpu_enable_fast_math=false"], tmp_path) == first


def test_our_flag_gives_way_to_the_users(unset: pytest.MonkeyPatch) -> None:
    unset.setattr(choice, "FLAGS", {"cpu": ["--xla_cpu_enable_fast_math=true"]})
    assert choose_platform("cpu", None).flags == ["--xla_cpu_enable_fast_math=true"]
    unset.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    assert choose_platform("cpu", None).flags == []
