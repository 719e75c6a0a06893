"""Saves checkpoints for ever, each a function of its step; checks what it goes on from."""

import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from ligo_cpc_snn.config.schema import CheckpointConfig
from ligo_cpc_snn.training.checkpoints import Checkpoints

VALUES = 200_000


def state_of(step: int) -> dict[str, jnp.ndarray]:
    """Return the state after `step` steps."""
    return {"w": jnp.asarray(np.random.default_rng(step).normal(size=VALUES), jnp.float32)}


def main() -> None:
    """Go on from the newest sound checkpoint in the folder given; with `once`, only look."""
    folder, once = Path(sys.argv[1]), sys.argv[2:] == ["once"]
    with Checkpoints(folder, CheckpointConfig(keep_last=3, keep_best=0)) as kept:
        found = kept.restore_latest(state_of(0))
        step = 0
        if found is not None:
            state, step = found
            assert (state["w"] == state_of(step)["w"]).all(), f"step {step} is not as it was saved"
        print("RESTORED", step, flush=True)
        while not once:
            step += 1
            kept.save(step, state_of(step), {}, {})


if __name__ == "__main__":
    main()
