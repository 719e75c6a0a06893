"""Several processes and devices train what one trains; what they share and how they end."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ligo_cpc_snn.config.runtime_schema import Distributed, RuntimeConfig, Tuning
from ligo_cpc_snn.dataset.banks import SignalBank
from ligo_cpc_snn.dataset.sharing import Share, chunks_of, exchange
from ligo_cpc_snn.runtime import processes
from ligo_cpc_snn.runtime.processes import ProcessError, started_together, told
from ligo_cpc_snn.wiring.distributed import AgreedStop, Together

HERE = Path(__file__).resolve().parent
STEP = {"SLURM_NTASKS": "2", "SLURM_STEP_NODELIST": "a,b"}


@pytest.mark.parametrize(
    "variables, together",
    [
        ({}, False),
        (STEP, True),
        ({"SLURM_NTASKS": "2"}, False),  # the batch script itself, not a step of srun
        ({**STEP, "SLURM_NTASKS": "1"}, False),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, True),
        ({"JAX_NUM_PROCESSES": "2"}, True),
    ],
)
def test_processes_notice_that_they_were_started_together(variables, together):
    assert started_together(Distributed.auto, variables) is together
    assert not started_together(Distributed.off, variables)


def test_wrong_variables_are_named():
    with pytest.raises(ProcessError, match="JAX_NUM_PROCESSES=two: expected a whole number"):
        started_together(Distributed.auto, {"JAX_NUM_PROCESSES": "two"})
    with pytest.raises(ProcessError, match="without JAX_PROCESS_ID"):
        processes.connect({"JAX_NUM_PROCESSES": "2"})


def test_the_loss_of_a_process_is_told_as_that():
    lost = told(RuntimeError("UNKNOWN: Gloo AllReduce failed:\nConnection closed by peer"))
    assert lost.startswith("another process of this run has ended")
    assert "same command" in lost
    assert "\n" not in lost
    assert told(ValueError("data.window_seconds=0")) == "data.window_seconds=0"
    assert told(ProcessError("no coordination service")) == "no coordination service"


def test_only_process_0_holds_the_run_folder(tmp_path):
    folders = {processes.folder_of(tmp_path, index) for index in range(4)}
    assert len(folders) == 4
    assert processes.folder_of(tmp_path, 0) == tmp_path


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_bank_made_in_shares_is_the_bank_made_by_one(count, monkeypatch):
    monkeypatch.setattr("ligo_cpc_snn.dataset.sharing.SLICE_BYTES", 40)  # several slices
    rng = np.random.default_rng(0)
    whole = SignalBank(
        rng.standard_normal((11, 2, 3)).astype(np.float16),
        np.zeros((11, 2), np.int32),
        rng.uniform(5, 10, 11).astype(np.float32),
    )
    chunks = list(chunks_of([7, 4], rng.permutation(11), 2))
    assert sorted(np.concatenate([chunk.places for chunk in chunks])) == list(range(11))
    owners = np.zeros(11, np.int32)
    for chunk in chunks:
        owners[chunk.places] = chunk.number % count
    made = [_only(whole, owners == index) for index in range(count)]
    sent: list[list[np.ndarray]] = [[] for _ in range(count)]
    for index in range(count):  # once to hear what each process sends

        def hear(rows, index=index):
            sent[index].append(rows)
            return np.concatenate([rows] * count)

        exchange(made[index], owners, Share(index, count, hear))
    turns = iter(zip(*sent, strict=True))
    got = exchange(made[0], owners, Share(0, count, lambda rows: np.concatenate(next(turns))))
    for one, other in zip(got, whole, strict=True):
        np.testing.assert_array_equal(one, other)


def _only(bank: SignalBank, rows: np.ndarray) -> SignalBank:
    """Return a bank with what one process has made of it."""
    strain = np.where(rows[:, None, None], bank.strain, np.float16(0))
    return bank._replace(strain=strain, snr=np.where(rows, bank.snr, np.float32(0)))


class _Asked:
    """A request, a display and a group of processes of which another may have been asked."""

    def __init__(self):
        self.requested, self.other, self.questions, self.shown = False, False, 0, []

    def any(self, asked):
        self.questions += 1
        return asked or self.other

    def update(self, step, phase, metrics):
        self.shown.append(step)


def test_all_processes_stop_at_the_same_logging_interval():
    asked = _Asked()
    stop = AgreedStop(asked, asked, asked, every=4)
    for step in (1, 2, 3):
        stop.update(step, "finetune", {})
    asked.requested = True  # by a signal, at a step that the others do not know
    assert (stop.requested, asked.questions) == (False, 0)
    stop.update(4, "finetune", {})
    assert (stop.requested, asked.questions) == (True, 1)
    asked.requested, asked.other = False, True
    stop.update(9, "finetune", {})  # several steps in one dispatch
    assert (stop.requested, asked.questions, asked.shown) == (True, 2, [1, 2, 3, 4, 9])


def test_one_device_changes_nothing():
    alone, tree = Together(), {"a": np.arange(4)}
    assert alone.spread(tree) is tree
    assert alone.own(tree) is tree
    assert (alone.devices, alone.first, alone.several) == (1, True, False)
    assert alone.least(5_000_000_000_000) == alone.most(5_000_000_000_000) == 5_000_000_000_000
    assert alone.any(True)
    assert not alone.any(False)


def start(count: int, folder: Path, steps: int, **variables: str) -> list[subprocess.Popen[str]]:
    """Start processes on this host as `srun` would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    base = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")} | {
        "PYTHONPATH": str(HERE),
        "JAX_PLATFORMS": "cpu",
        **variables,
    }
    if count > 1:
        base |= {
            "SLURM_JOB_ID": "7", "SLURM_STEP_NODELIST": "127.0.0.1", "SLURM_NTASKS": str(count),
            "JAX_COORDINATOR_PORT": str(port),
        }  # fmt: skip
    folder.mkdir(exist_ok=True)
    return [
        subprocess.Popen(
            [sys.executable, "-u", str(HERE / "together_child.py"), str(folder), str(steps)],
            env=base | {"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)} if count > 1 else base,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(count)
    ]


def ended(started: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    try:
        texts = [process.communicate(timeout=900)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, text) for process, text in zip(started, texts, strict=True)]


def trained(count: int, folder: Path, steps: int = 5, devices: int = 1, **variables: str):
    """Train and return what process 0 wrote."""
    results = ended(start(count, folder, steps, **variables))
    assert [code for code, _ in results] == [0] * count, "\n".join(text for _, text in results)
    with np.load(folder / f"params-{count}-{devices * count}.npz") as saved:
        return dict(saved)


def assert_same(one, other, tolerance=1e-5):
    assert one.keys() == other.keys()
    for name in one:
        if name != "devices":
            np.testing.assert_allclose(one[name], other[name], tolerance, tolerance, err_msg=name)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Folder and numbers of one process."""
    folder = tmp_path_factory.mktemp("alone")
    return folder, trained(1, folder)


@pytest.mark.slow
def test_two_devices_of_one_process_train_what_one_does(alone, tmp_path):
    flags = "--xla_force_host_platform_device_count=2"
    found = trained(1, tmp_path, devices=2, XLA_FLAGS=flags)
    assert found["devices"] == 2
    assert_same(found, alone[1])


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_train_what_one_does_and_another_number_goes_on(count, alone, tmp_path):
    found = trained(count, tmp_path)
    assert (found["devices"], found["step"]) == (count, 5)
    assert_same(found, alone[1])
    # Each process wrote its part of the checkpoint; one process, and two, read it.
    parts = list((tmp_path / "checkpoints/5/state").glob("ocdbt.process_*"))
    assert len(parts) == count
    other = 1 if count == 2 else 2
    more = trained(other, tmp_path, steps=6)
    assert more["step"] == 6
    changed = [name for name in more if not np.array_equal(more[name], found[name])]
    assert "loss" in changed


@pytest.mark.slow
def test_a_process_that_dies_ends_all_with_a_message(alone, tmp_path):
    (code, text), (died, _) = ended(start(2, tmp_path, 5, DIE_AT="1:3"))
    assert died == -9
    assert code != 0
    assert "another process of this run has ended" in text or "another task died" in text
    assert not list(tmp_path.glob("params-*"))
    assert (tmp_path / "checkpoints/2").is_dir()
    assert_same(trained(2, tmp_path), alone[1])  # the same command goes on from step 2


@pytest.mark.parametrize("script", sorted((HERE.parent / "scripts/slurm").glob("*.sh")))
def test_job_scripts_can_be_run(script):
    assert os.access(script, os.X_OK)


def test_shell_scripts_pass_shellcheck():
    checker = Path(sys.executable).with_name("shellcheck")
    scripts = sorted((HERE.parent / "scripts").rglob("*.sh"))
    checked = subprocess.run(
        [checker, "--severity=warning", "--external-sources", *scripts],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_every_host_of_several_computes_the_same_way():
    runtime = processes.runtime_of_several(RuntimeConfig(fallback=True))
    assert (runtime.fallback, runtime.tuning) == (False, Tuning.off)


def test_job_script_says_what_is_missing_and_passes_arguments_on(tmp_path):
    script = HERE.parent / "scripts/slurm/train.sh"
    base = {"PATH": "/usr/bin:/bin", "SLURM_SUBMIT_DIR": str(tmp_path), "HOME": str(tmp_path)}
    missing = subprocess.run(
        ["bash", script], env=base, capture_output=True, text=True, check=False
    )
    assert missing.returncode == 1
    assert "no ligo-train" in missing.stderr
    for name in ("srun", "ligo-train", "scontrol"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@"\nexit "${{CODE:-0}}"\n')
        (tmp_path / name).chmod(0o755)
    base |= {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_ID": "7", "CODE": "130"}
    stopped = subprocess.run(
        ["bash", script, "+experiment=a b"], env=base, capture_output=True, text=True, check=False
    )
    assert "ligo-train +experiment=a b" in stopped.stdout
    assert "scontrol requeue 7" in stopped.stdout
    assert stopped.returncode == 130
