"""`ligo-search`: its command line, and what is said before anything is searched."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ligo_cpc_snn.config import search_arguments
from ligo_cpc_snn.config.compose import load, load_root
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.roots import EVALUATION, SEARCH
from ligo_cpc_snn.config.search_arguments import to_overrides
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.wiring.search_command import summary


def config(*arguments: str) -> SearchConfig:
    return load_root(to_overrides(arguments), SEARCH)


def refused(*arguments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_options_and_files_become_settings(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.hdf").touch()
    Path("folder").mkdir()
    cfg = config("--detector", "bbh_o3", "a.hdf", "streams=2", "folder", "--output", "out")
    assert (cfg.detector, cfg.strain.files) == ("bbh_o3", ["a.hdf", "folder"])
    assert (cfg.streams, cfg.output_dir) == (2, "out")
    cfg = config("--event", "GW150914", "--event", "GW170817")
    assert cfg.strain.gwosc.events == ["GW150914", "GW170817"]
    cfg = config("--start", "1187008512", "--end=1187008882", "+triggers.threshold=3")
    assert (cfg.strain.gwosc.span, cfg.triggers.threshold) == ((1187008512, 1187008882), 3.0)
    assert config("--follow", "in coming").follow == "in coming"


def test_an_existing_file_wins_over_a_setting_of_its_name(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config("streams=2").streams == 2
    Path("streams=2").touch()
    cfg = config("streams=2")
    assert (cfg.streams, cfg.strain.files) == (0, ["streams=2"])


@settings(max_examples=20, deadline=None)
@given(
    st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="$"), min_size=1)
)
def test_any_name_survives_the_overrides_grammar(name) -> None:
    """Spaces, commas, brackets, quotes and backslashes in names of files."""
    text = f"strain.files=[{search_arguments.quoted(name)},{search_arguments.quoted('b')}]"
    assert load_root([text], SEARCH).strain.files == [name, "b"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["absent.hdf"], "absent.hdf: there is no such file or folder"),
        (["absent/x=1.hdf"], "absent/x=1.hdf: there is no such file or folder"),
        (["GW150914"], "for an event write --event GW150914"),
        (["--detector"], "argument --detector: expected one argument"),
        (["--detector", "a", "detector=b"], "detector=b: detector is given twice"),
        (["steams=2"], "unknown key steams"),
        (["+triggers.treshold=2"], "did you mean triggers.threshold?"),
        (["experiment=quickstart"], "unknown key experiment"),
        (["streams=many"], "streams=many: expected a whole number"),
        (["streams=1,2"], "streams=1,2: several values for one run; add --multirun"),
        (["--start", "soon"], "strain.gwosc.start=soon: expected a whole number or null"),
        (["--start", "10"], "expected strain.gwosc.end (--end)"),
        (["--end", "10"], "expected strain.gwosc.start (--start)"),
        (["--start", "10", "--end", "5"], "expected less than the end, 5"),
        (["--event", "GW150914", "--follow", "x"], "expected one of them"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(arguments, said) -> None:
    assert said in refused(*arguments)


def test_each_root_has_its_own_keys_and_training_keeps_its() -> None:
    assert load_root(["name=x"], SEARCH).output_dir == "searches/x"
    assert load_root(["+population=mlgwsc1_ds1"], EVALUATION).output_dir == "campaigns/campaign"
    assert load(["name=x"]).run_dir == "runs/x"
    with pytest.raises(ConfigError, match="unknown key seed"):
        load_root(["seed=1"], SEARCH)


def test_errors_and_help_come_before_jax(tmp_path) -> None:
    script = "import sys; from ligo_cpc_snn.wiring.search_command import main\n"
    script += "code = main(); assert 'jax' not in sys.modules; sys.exit(code)"
    for arguments, code, out, err in (
        (["steams=2"], 1, "", "error: unknown key steams"),
        (["-m", "steams=1,2"], 1, "", "error: unknown key steams"),
        (["--cfg", "job", "streams=3"], 0, "streams: 3", ""),
        (["--help"], 0, "--follow DIR", ""),
        (["--detector", "bbh_tset"], 1, "", "error: detector 'bbh_tset' is no shipped one"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr.count("\n")) == (code, 1 if err else 0)
        assert done.stderr.startswith(err)
        assert out in done.stdout


def test_a_detector_is_listed_with_what_it_was_trained_on() -> None:
    population = {"mass_1": {"low": 10.0, "high": 50.0}, "mass_frame": "detector"}
    asked = {1.0: 1200.0, 900.0: 1512.4, 10000.0: 1800.0}
    rates = [{"per_month": rate, "distance": distance} for rate, distance in asked.items()]
    card = {
        "data": {"source": "real", "approximant": "IMRPhenomXPHM"},
        "config": {"data": {"signals": {"population": population}}},
        "numbers": {"sensitivity": {"rates": rates}},
    }
    assert summary(card) == (
        "real noise, heavier mass 10 to 50 solar (detector frame), IMRPhenomXPHM, sensitive "
        "distance 1512 Mpc at 900 false alarms a month"
    )
    assert summary({}) == "nothing in its card"
