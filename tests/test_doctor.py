"""`ligo-doctor` and a run where plug-ins of JAX are broken on purpose."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ligo_cpc_snn import doctor
from ligo_cpc_snn.runtime import doctor_facts, plugins
from ligo_cpc_snn.runtime.child import run_child
from ligo_cpc_snn.runtime.device_trial import DeviceTrial, try_plugin
from ligo_cpc_snn.runtime.doctor import Chosen, Examination, TriedPlugin, _notes
from ligo_cpc_snn.runtime.doctor_text import lines
from ligo_cpc_snn.runtime.environment import Variable
from ligo_cpc_snn.runtime.platforms import PLUGINS
from ligo_cpc_snn.runtime.plugins import Plugin

# How plug-ins fail: each of these ends or stops a process in which JAX loads it.
NAMESPACE = {
    "aborts": "import os\nos.abort()\n",
    "hangs": "import time\ntime.sleep(3600)\n",
    "lacks_a_library": "raise ImportError('libmissing.so: cannot open shared object file')\n",
}


@pytest.mark.parametrize("seconds", ["x", "0", "inf", "1e300", "nan"])
def test_a_wrong_limit_is_one_line(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main([f"--seconds={seconds}"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert f"{seconds}: expected a number in" in told
    assert told.count("\n") == 1


CLEAN = ("JAX_", "XLA_", "LIGO_")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages with four broken plug-ins, seen here and by children."""
    folder = tmp_path / "site"
    (folder / "jax_plugins").mkdir(parents=True)
    for name, code in NAMESPACE.items():
        (folder / "jax_plugins" / f"{name}.py").write_text(code)
    (folder / "fails_later.py").write_text("def initialize(): raise RuntimeError('driver 1.0')\n")
    about = folder / "fails_later-0.3.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: fails-later\nVersion: 0.3\nRequires-Dist: jax<0.5\n"
    )
    (about / "entry_points.txt").write_text("[jax_plugins]\nlater = fails_later\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def child(code: str, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user's shell would, with the cache in the test's folder."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(CLEAN)}
    return subprocess.run(
        [sys.executable, *(["-c", code] if code else []), *arguments],
        env={**own, "LIGO_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_plugins_are_found_both_ways_and_none_is_imported(site: Path) -> None:
    found = {plugin.module: plugin for plugin in plugins.find_plugins()}
    assert found["fails_later"] == Plugin("fails_later", "entry point", "fails-later 0.3")
    for name in NAMESPACE:
        assert found[f"jax_plugins.{name}"].found_by == "namespace package"
        assert f"jax_plugins.{name}" not in sys.modules
    assert "fails_later" not in sys.modules


def test_only_the_chosen_platforms_plugins_are_needed() -> None:
    of_cuda, other = Plugin(PLUGINS["cuda"][0], "entry point", ""), Plugin("x", "entry point", "")
    assert plugins.unneeded([of_cuda, other], ["cpu"]) == [of_cuda.module, "x"]
    assert plugins.unneeded([of_cuda, other], ["cuda", "cpu"]) == ["x"]
    # What JAX_PLATFORMS names and we do not know may be any of them.
    assert plugins.unneeded([of_cuda, other], ["tpu"]) == []


def test_a_run_goes_on_beside_broken_plugins(site: Path, tmp_path: Path) -> None:
    """JAX alone would hang or abort; `import ligo_cpc_snn` loads neither JAX nor a plug-in."""
    code = """
import sys
import ligo_cpc_snn, ligo_cpc_snn.train
from ligo_cpc_snn.runtime import environment
assert not {"jax", "jax_plugins", "fails_later"} & set(sys.modules)
report = environment.prepare("auto", 0.5, False)
environment.verify_platform(report)
import jax
print(report.plugins_set_aside, float(jax.jit(lambda x: x + 1)(1.0)), jax.devices())
"""
    done = child(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "['fails_later', 'jax_plugins.aborts', 'jax_plugins.hangs'" in done.stdout
    assert "2.0" in done.stdout
    assert "RuntimeError" not in done.stderr


@pytest.mark.parametrize(
    ("module", "seconds", "said"),
    [
        ("jax_plugins.hangs", 3.0, "no answer within 3 s"),
        ("jax_plugins.aborts", 60.0, "ended by SIGABRT"),
        ("jax_plugins.lacks_a_library", 60.0, "ImportError: libmissing.so"),
    ],
)
def test_a_broken_plugin_is_named_with_its_reason(
    module: str, seconds: float, said: str, site: Path
) -> None:
    trial = try_plugin(Plugin(module, "namespace package", ""), seconds)
    assert not trial.works
    assert said in trial.failure


def test_the_doctor_reports_all_of_it_as_json(site: Path, tmp_path: Path) -> None:
    (site / "jax_plugins" / "hangs.py").unlink()  # it would cost the whole limit
    done = child("", tmp_path, "-m", "ligo_cpc_snn.doctor", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["healthy"]
    assert found["chosen"]["platform"] == found["device"]["platform"] == "cpu"
    assert "no cuda" in found["chosen"]["auto_reason"]
    assert found["device"]["wide_numbers"]
    tried = {one["plugin"]["module"]: one["trial"] for one in found["plugins"]}
    assert not any(trial["works"] for trial in tried.values())
    assert "RuntimeError: driver 1.0" in tried["fails_later"]["failure"]
    variables = {one["name"]: one["source"] for one in found["variables"]}
    assert variables["LIGO_CACHE_DIR"] == "user"
    assert variables["JAX_PLATFORMS"] == "ligo_cpc_snn"
    assert variables["LIGO_PLATFORM"] == "default"
    assert str(tmp_path / "cache") in [one["path"] for one in found["caches"]]
    notes = " ".join(found["notes"])
    assert "fails-later needs jax<0.5, installed is" in notes
    assert "pip uninstall fails-later" in notes
    assert "jax-metal 0.1.1" in notes
    assert "jax-mps" in notes


def test_a_child_that_writes_before_it_hangs_is_still_read() -> None:
    ended = run_child("print('seen', flush=True)\nwhile True: pass", os.environ, 2.0)
    assert ended.output.strip() == "seen"
    assert ended.failure == "no answer within 2 s"


def test_variables_say_who_set_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGO_PLATFORM", "cpu")
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    found = doctor_facts.variables({"JAX_PLATFORMS": Variable("cpu", "ligo_cpc_snn")})
    by_name = {one.name: (one.value, one.source) for one in found}
    assert by_name["LIGO_PLATFORM"] == ("cpu", "user")
    assert by_name["JAX_PLATFORMS"] == ("cpu", "ligo_cpc_snn")
    assert by_name["LIGO_TRACEBACK"] == ("off", "default")
    assert "WANDB_API_KEY" not in by_name


def test_caches_have_their_sizes(tmp_path: Path) -> None:
    (tmp_path / "ours" / "tuning").mkdir(parents=True)
    (tmp_path / "ours" / "tuning" / "a.json").write_bytes(b"x" * 700)
    (tmp_path / "ours" / "trial-1.json").write_bytes(b"x" * 300)
    (tmp_path / "theirs").mkdir()
    found = doctor_facts.caches(tmp_path / "ours", str(tmp_path / "theirs"))
    sizes = {Path(one.path).name: one.bytes for one in found}
    assert sizes == {"ours": 1000, "tuning": 700, "trial-1.json": 300, "theirs": 0}


def test_lines_show_a_machine_where_nothing_starts(site: Path) -> None:
    failed = DeviceTrial(False, "ended by SIGABRT", 0.5)
    tried = [TriedPlugin(Plugin("jax_plugins.aborts", "namespace package", ""), failed)]
    found = Examination(
        doctor_facts.host(), {"jax": "0.10.2"}, ["NVIDIA: no driver"], {"cpu": "no: not here"},
        tried, Chosen("", "LIGO_PLATFORM=cuda is not usable here", "cpu", "auto"), None,
        ["window on cpu: unroll 2"], doctor_facts.variables({}), [], _notes(tried, None),
    )  # fmt: skip
    text = "\n".join(lines(found))
    assert not found.healthy
    assert "does not start: LIGO_PLATFORM=cuda is not usable here" in text
    assert "auto alone takes cpu: auto" in text
    assert "window on cpu: unroll 2" in text
    assert "jax_plugins.aborts (no distribution, found as namespace package)" in text
    assert "does not work: ended by SIGABRT (0.5 s)" in text
