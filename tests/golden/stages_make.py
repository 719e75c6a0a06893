"""Write the golden references of the numerical stages: stages_*.npz and stages.json.

    PYTHONPATH=tests JAX_PLATFORMS=cpu JAX_THREEFRY_PARTITIONABLE=true \\
        python tests/golden/stages_make.py [STAGE ...]

Everything is computed the plain way: on the CPU, whole, with scans, in float32. Inputs come from
numpy's RandomState, whose numbers never change, and parameters from the layers' own beginnings;
both are kept beside the outputs. Where there are spikes, inputs are drawn until none of them
hangs on the last digits: parameters and inputs moved by 1e-5 give the same spikes.
"""

import importlib.metadata
import json
import platform
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from golden import stages_data, stages_losses, stages_network, stages_search
from golden.stages_files import FOLDER, Case, distance, save

MOVED, ALLOWED = 1e-5, 1e-3  # a spike elsewhere is farther than this
RECORD = FOLDER / "stages.json"  # of what made each stage
PACKAGES = ["jax", "jaxlib", "flax", "spyx", "numpy", "scipy", "ripplegw", "optax"]

Run = Callable[[Any, dict[str, np.ndarray]], Any]  # (parameters, inputs) -> outputs


def steady(run: Run, params: Any, draw: Callable[[int], dict[str, np.ndarray]]) -> Case:
    """Return the first case whose outputs do not hang on the last digits."""
    rng = np.random.RandomState(1)

    def moved(x: np.ndarray) -> np.ndarray:
        # Spikes and flags are whole numbers, which no computation gets slightly wrong.
        if np.array_equal(x, np.round(x)):
            return x
        return (x * (1 + MOVED * rng.uniform(-1, 1, x.shape))).astype(x.dtype)

    for seed in range(100):
        inputs = draw(seed)
        outputs = jax.tree.map(np.asarray, run(params, inputs))
        near = (run(*jax.tree.map(moved, (params, inputs))) for _ in range(4))
        if all(distance(other, outputs) < ALLOWED for other in near):
            return Case(inputs, params, outputs)
    raise RuntimeError("no inputs of 100 whose spikes are all clear of their thresholds")


def first_params(module: nnx.Module) -> Any:
    """Return a module's parameters as nested dicts of arrays, none at the same value."""
    rng = np.random.RandomState(7)
    params = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.split(module)[1]))
    # Biases and norms begin at 0 and 1, where mistakes with them do not show.
    return jax.tree.map(lambda x: (x + 0.05 * rng.standard_normal(x.shape)).astype(x.dtype), params)


def network(stage: str) -> dict[str, Case]:
    cases = {}
    for name in stages_network.MODELS[stage]:
        params = first_params(stages_network.module(stage, name))
        cases[name] = steady(
            lambda p, x, n=name: stages_network.run(stage, n, p, x),
            params,
            lambda seed, n=name: stages_network.draw_inputs(stage, n, seed),
        )
    return cases


def losses() -> dict[str, Case]:
    inputs = stages_losses.draw_inputs("detection", 0)
    cases = {"detection": Case(inputs, {}, stages_losses.detection(inputs))}
    for name, negatives in stages_losses.INFONCE.items():
        inputs = stages_losses.draw_inputs(name, 1)
        cases[name] = Case(inputs, {}, stages_losses.contrast(negatives, inputs))
    for name, negatives in stages_losses.GRADIENTS.items():
        params = jax.tree.map(np.asarray, stages_losses.structure(negatives)[1])
        cases[name] = steady(
            lambda p, x, n=negatives: stages_losses.gradient(n, p, x),
            params,
            lambda seed, n=name: stages_losses.draw_inputs(n, seed),
        )
    return cases


def whitening() -> dict[str, Case]:
    inputs = stages_data.draw_inputs("whitening")
    return {"red": Case(inputs, {}, stages_data.whitening(inputs))}


def projection() -> dict[str, Case]:
    inputs = stages_data.draw_inputs("projection")
    turns = {"at rest": False, "turning": True}
    return {n: Case(inputs, {}, stages_data.projection(t, inputs)) for n, t in turns.items()}


def signals() -> dict[str, Case]:
    inputs = stages_data.draw_inputs("signals")
    return {"heavy": Case(inputs, {}, stages_data.signals(inputs))}


def composition() -> dict[str, Case]:
    inputs = stages_data.draw_inputs("composition")
    shares = stages_data.COMPOSITIONS
    return {n: Case(inputs, {}, stages_data.composition(s, inputs)) for n, s in shares.items()}


def triggers() -> dict[str, Case]:
    inputs = stages_search.draw_inputs("triggers", 0)
    return {"gaps": Case(inputs, {}, stages_search.triggers(inputs))}


def detecting(stage: str, run: Any) -> dict[str, Case]:
    params = jax.tree.map(np.asarray, nnx.to_pure_dict(stages_search.detector().params))
    return {"small": steady(run, params, lambda seed: stages_search.draw_inputs(stage, seed))}


STAGES: dict[str, Callable[[], dict[str, Case]]] = {
    "whitening": whitening,
    "projection": projection,
    "signals": signals,
    "composition": composition,
    **{stage: partial(network, stage) for stage in stages_network.NETWORK},
    "losses": losses,
    "triggers": triggers,
    "slides": partial(detecting, "slides", stages_search.slides),
    "search": partial(detecting, "search", stages_search.search),
}


def machine() -> dict[str, str]:
    """Return what made the references."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}, {(names or ['unknown'])[0]}",
        "backend": jax.default_backend(),
    }


def main() -> None:
    if jax.default_backend() != "cpu" or not jax.config.jax_threefry_partitionable:
        raise SystemExit("expected JAX_PLATFORMS=cpu and JAX_THREEFRY_PARTITIONABLE=true")
    stages = sys.argv[1:] or list(STAGES)
    made = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for stage in stages:
        cases = STAGES[stage]()
        save(stage, cases)
        size = (FOLDER / f"stages_{stage}.npz").stat().st_size
        print(f"{stage}: {', '.join(cases)}; {size / 1e3:.0f} kB", flush=True)
        RECORD.write_text(json.dumps(made | {stage: machine()}, indent=1) + "\n")
        made = json.loads(RECORD.read_text())


if __name__ == "__main__":
    main()
