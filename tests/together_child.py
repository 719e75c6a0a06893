"""One process of a small training: `python together_child.py FOLDER STEPS`, with JAX's variables.

Five steps of every kind that matters (both InfoNCEs' phase, accumulation, a moving average) from
banks that are no physics but are made in shares. Process 0 writes params-<processes>.npz, and a
checkpoint comes to FOLDER/checkpoints where it is there; a later start goes on from it.
"""

import os
import sys
from pathlib import Path

import numpy as np

from ligo_cpc_snn.config.runtime_schema import Distributed, RuntimeConfig
from ligo_cpc_snn.runtime import processes

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_THREEFRY_PARTITIONABLE", "true")


def signal_bank(layout, together):
    """Rows that depend on their number alone, each made by one process and exchanged."""
    from ligo_cpc_snn.dataset.banks import SignalBank
    from ligo_cpc_snn.dataset.sharing import exchange
    from ligo_cpc_snn.wiring.data import share_of

    rows, samples = 10, layout.before + layout.after
    owners = np.arange(rows) // 2 % together.count
    strain = np.zeros((rows, 2, samples), np.float32)
    for row in np.flatnonzero(owners == together.index):
        strain[row] = np.random.default_rng(row).standard_normal((2, samples)) / samples**0.5
    bank = SignalBank(strain, np.zeros((rows, 2), np.int32), np.ones(rows, np.float32))
    return exchange(bank, owners, share_of(together))


def banks_of(cfg, together):
    from ligo_cpc_snn.dataset.banks import (
        Banks,
        Stretch,
        build_noise_bank,
        no_glitches,
        no_transients,
    )
    from ligo_cpc_snn.dataset.sampling import signal_layout

    rng = np.random.default_rng(0)
    noise = [[Stretch(rng.standard_normal(4096).astype(np.float32), 0)] for _ in range(2)]
    window = cfg.data.window_samples
    bank = signal_bank(signal_layout(cfg.data), together)
    return Banks(build_noise_bank(noise, window), bank, no_glitches(window), no_transients())


def functions_of(cfg, structure, banks, together):
    from ligo_cpc_snn.dataset.sampling import build_sampler
    from ligo_cpc_snn.rng import stream
    from ligo_cpc_snn.training.step import PhaseFunctions

    phase = cfg.training.finetune
    return PhaseFunctions(
        structure,
        build_sampler(cfg.data, cfg.training.batch_size),
        banks,
        phase=phase,
        cfg=cfg.training,
        key=stream(0, "training"),
        spread=together.spread,
    )


def train(cfg, folder: Path, steps: int) -> None:
    import jax
    import jax.numpy as jnp

    from ligo_cpc_snn.training.checkpoints import Checkpoints
    from ligo_cpc_snn.training.learner import create_learner
    from ligo_cpc_snn.wiring.distributed import all_devices

    together = all_devices(cfg.runtime)
    banks = together.replicate(banks_of(cfg, together))
    structure, params = create_learner(
        cfg.model, cfg.training.infonce, detectors=2, sample_rate_hz=512, seed=0
    )
    params = together.replicate(params)
    functions = functions_of(cfg, structure, banks, together)
    names, zero = functions.metric_names(params), jnp.zeros((), jnp.int32)
    begin = together.jit(lambda p, s: functions.begin(p, s, names))
    state = begin(params, zero)
    step = together.jit(functions.step, donate_argnums=0).lower(state, banks).compile()
    with Checkpoints(folder / "checkpoints", cfg.training.checkpoint) as kept:
        found = kept.restore_latest(state, {})
        state = state if found is None else found[0]
        with jax.transfer_guard("disallow"):
            for number in range(int(state.step), steps):
                if os.environ.get("DIE_AT") == f"{together.index}:{number}":
                    os.kill(os.getpid(), 9)
                if number == 2:
                    kept.save(number, state, {"score": 0.5}, {})
                    kept.wait()
                state = step(state, banks)
            kept.save(steps, state, {"score": 0.5}, {})
        loss = float(state.metrics.sums["loss/total"])
    if together.first:
        shared = [len(x.sharding.device_set) for x in jax.tree.leaves(banks)]
        np.savez(
            folder / f"params-{together.count}-{together.devices}.npz",
            *jax.tree.leaves(jax.device_get(together.own(state.measured))),
            step=int(state.step), loss=loss, devices=min(shared),
            signals=np.asarray(jax.device_get(together.own(banks.signals.strain))),
        )  # fmt: skip
    together.wait("done")


def main() -> None:
    folder, steps, overrides = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if processes.started_together(Distributed.auto):
        processes.connect()
    from tiny import tiny

    cfg = tiny(
        "training.batch_size=8", "training.accumulation=2", "training.average_decay=0.9",
        "training.pretrain.steps=0", "training.probe.steps=0", f"training.finetune.steps={steps}",
        "training.finetune.infonce_weight=0.5", *overrides,
    )  # fmt: skip
    assert isinstance(cfg.runtime, RuntimeConfig)
    train(cfg, folder, steps)


if __name__ == "__main__":
    with processes.ended_together():
        main()
