"""The command line in processes of their own: exit codes, help, sweeps, and no JAX."""

import subprocess
import sys
from pathlib import Path

import pytest

TASK = """
import sys
from ligo_cpc_snn.config.command_line import entry
from ligo_cpc_snn.config.schema import Config


class Known(RuntimeError):
    pass


def task(cfg: Config) -> int:
    if cfg.seed == 13:
        raise Known("thirteen is no seed")
    print("run", cfg.name, cfg.seed, cfg.run_dir, "jax" in sys.modules)
    return 3 if cfg.seed == 3 else 0


sys.exit(entry(task, "Does nothing.", (Known,)))
"""


@pytest.fixture
def command(tmp_path: Path):
    """A function that runs the command in an empty folder."""
    script = tmp_path / "command.py"
    script.write_text(TASK)
    folder = tmp_path / "folder"
    folder.mkdir()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(script), *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_one_run_without_jax(command) -> None:
    done = command("seed=2", "name=x")
    assert (done.returncode, done.stdout, done.stderr) == (0, "run x 2 runs/x False\n", "")


def test_exit_code_of_the_task_is_the_commands(command) -> None:
    assert command("seed=3").returncode == 3


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["sed=2"], "error: unknown key sed"),
        (["seed=13"], "error: thirteen is no seed"),
        (["--sed", "2"], "error: unrecognized arguments: --sed"),
        (["--cfg", "hydra"], "error: argument -c/--cfg"),
        (["-m", "seed=1,2", "model.snn.widths=[3],[0]"], "error: model.snn.widths=[0]"),
        (["-m", "seed=1,2", "run_dir=x"], "error: run_dir=x is the same for 2 runs"),
    ],
)
def test_error_is_one_line_and_exit_code_1(command, arguments: list[str], message: str) -> None:
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_help(command) -> None:
    done = command("--help")
    assert done.returncode == 0
    for part in ("Does nothing.", "command.py", "experiments:", "data.window_seconds=1.0"):
        assert part in done.stdout


def test_composed_config_is_printed(command) -> None:
    assert "run_dir: runs/${name}\n" in command("--cfg", "job", "name=x").stdout
    assert "run_dir: runs/x\n" in command("--cfg", "job", "--resolve", "name=x").stdout


def test_sweep_gives_each_run_a_folder_and_goes_on_after_a_failure(command) -> None:
    done = command("--multirun", "seed=1,13,2", "name=x")
    assert done.stdout.splitlines() == [
        "run x 1 multirun/x/0 False",
        "run x 2 multirun/x/2 False",
    ]
    assert done.returncode == 1
    assert "error: thirteen is no seed" in done.stderr
    again = command("-m", "seed=1,2", "run_dir=own/${seed}")
    assert [line.split()[3] for line in again.stdout.splitlines()] == ["own/1", "own/2"]
