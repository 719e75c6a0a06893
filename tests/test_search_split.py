"""A search in parts gives the very files of a search in one go."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from test_search_command import (  # noqa: F401 (fixtures)
    SETTINGS,
    command,
    config,
    data,
    finished,
    no_pictures,
    results,
)

from ligo_cpc_snn.config.roots import SEARCH
from ligo_cpc_snn.config.search_arguments import to_overrides
from ligo_cpc_snn.config.sweep import sweep
from ligo_cpc_snn.search import engine
from ligo_cpc_snn.wiring import search as wiring
from ligo_cpc_snn.wiring.search_progress import ProgressError
from ligo_cpc_snn.wiring.search_split import own_groups
from ligo_cpc_snn.wiring.search_split_folders import folder_of

RAY = importlib.util.find_spec("ray") is not None


def searched(cfg) -> int:
    """Search what a config asks for, in this process."""
    output = folder_of(Path(cfg.output_dir), cfg.part)
    output.mkdir(parents=True, exist_ok=True)
    cache = Path(cfg.output_dir) / "cache"
    run = wiring.run_search if cfg.part is None else wiring.search_part
    return run(cfg, output, cache)


def arguments(folder: Path, output: Path, *more: str) -> list[str]:
    # Groups of 2 stretches: five segments of strain are several groups.
    files = [str(folder / "noise.hdf"), "--detector", str(folder / "small.safetensors")]
    return [*files, "--output", str(output), *SETTINGS[:2], "streams=1", *SETTINGS[3:], *more]


@pytest.fixture(scope="module")
def in_one(data, tmp_path_factory) -> Path:  # noqa: F811
    """The results of a search of everything."""
    output = tmp_path_factory.mktemp("in_one")
    assert searched(config(*arguments(data, output))) == 0
    return output


def test_every_group_is_in_one_part():
    for parts in (1, 2, 3, 7):
        found = [g for i in range(parts) for g in own_groups(range(5), f"{i + 1}/{parts}")]
        assert sorted(found) == list(range(5))


def test_parts_by_a_launcher_merge_to_the_same_files(
    data,  # noqa: F811
    in_one,
    tmp_path,
    monkeypatch,
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ligo-search"])
    output = tmp_path / "month"
    split = to_overrides(arguments(data, output, "part=1/3,2/3,3/3", "hydra/launcher=local"))
    assert sweep(searched, split, SEARCH) == 0
    parts = sorted(output.glob("parts/*/progress/*.npz"))
    assert len({part.parents[1] for part in parts}) == 3
    monkeypatch.setattr(engine.Engine, "run", lambda *_: pytest.fail("searched again"))
    assert searched(config(*arguments(data, output))) == 0
    assert results(output) == results(in_one)


def test_a_part_that_is_missing_is_searched_by_the_whole(data, in_one, tmp_path):  # noqa: F811
    assert searched(config(*arguments(data, tmp_path, "part=2/3"))) == 0
    assert not (tmp_path / "triggers.csv").exists()
    assert searched(config(*arguments(data, tmp_path))) == 0
    assert results(tmp_path) == results(in_one)


def test_parts_under_way_or_of_another_search_are_refused(data, tmp_path):  # noqa: F811
    assert searched(config(*arguments(data, tmp_path, "part=1/3"))) == 0
    folder = folder_of(tmp_path, "1/3")
    with (
        FileLock(folder / ".lock").acquire(),
        pytest.raises(ProgressError, match="1-of-3 is still being searched"),
    ):
        searched(config(*arguments(data, tmp_path)))
    settings = folder / "progress" / "settings.json"
    settings.write_text(settings.read_text().replace('"psd_seconds": 8.0', '"psd_seconds": 9.0'))
    with pytest.raises(ProgressError, match=r"psd_seconds: 9\.0 -> 8\.0"):
        searched(config(*arguments(data, tmp_path)))


@pytest.mark.parametrize(
    ("variables", "part"),
    [({}, ""), ({"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MAX": "16"}, " part=3/16"),
     ({"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MAX": "3", "PARTS": "16"}, " part=3/16")],
)  # fmt: skip
def test_a_task_of_a_job_array_searches_its_part(variables, part, tmp_path):
    found = tmp_path / "ligo-search"
    found.write_text('#!/bin/sh\necho "$@"\n')
    found.chmod(0o755)
    script = Path(__file__).resolve().parents[1] / "scripts/slurm/search.sh"
    paths = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_SUBMIT_DIR": str(tmp_path)}
    ran = subprocess.run(
        ["bash", script, "--output", "o3"],
        env=paths | variables, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout == f"--output o3{part}\n"


@pytest.mark.slow
@pytest.mark.skipif(not RAY, reason="ray is not installed (extra ray)")
def test_four_jobs_through_ray_merge_to_the_same_files(data, in_one, tmp_path):  # noqa: F811
    output = tmp_path / "month"
    parts = "part=1/4,2/4,3/4,4/4"
    split = arguments(data, output, parts, "-m", "hydra/launcher=ray", "name=month")
    code, _, err = finished(command(*split, cwd=tmp_path))
    assert code == 0, err
    logs = sorted(output.glob("parts/*/run.log"))
    assert len(logs) == 4
    assert searched(config(*arguments(data, output, "name=month"))) == 0
    assert results(output) == results(in_one)
