"""Every device, kernel and chunking gives the network's golden references, and their losses."""

import json
from typing import Any

import jax
import numpy as np
import pytest
from golden import stages_losses, stages_network
from golden.stages_files import FOLDER, TOLERANCES, distance, load
from golden.stages_ways import DEVICES, KERNELS, check, on, outputs_of

GOLDEN = {stage: load(stage) for stage in (*stages_network.NETWORK, "losses")}
HAVE = {  # the kernel; the other cases compute what they do without
    "unroll": ("glr", "gru", "LIF", "ALIF"),
    "associative": ("glr", "LIF"),
    "pallas": ("LIF",),
    "all": ("glr", "LIF"),
}
IN_CHUNKS = ("plain", "all")
# Products in bfloat16 move a spike, or what a rectifier lets through, and so the gradient.
MOVING = ("ALIF", "CuBaLIF", "RCuBaLIF", "none")


@pytest.fixture(scope="module", params=DEVICES)
def device(request):
    with on(request.param):
        yield


def network_ways() -> list[Any]:
    ways = []
    for stage in stages_network.NETWORK:
        for name in GOLDEN[stage]:
            for way in KERNELS:
                if way == "bfloat16":
                    has = TOLERANCES[stage].bfloat16 is not None
                    chunkings = ["whole"] if has else []
                else:
                    has = way == "plain" or name in HAVE[way]
                    chunkings = list(stages_network.CHUNKINGS)[: 1 + (way in IN_CHUNKS)]
                    chunkings = chunkings if has else []
                ways += [
                    pytest.param(stage, name, way, c, id=f"{stage} {name}, {way}, {c}")
                    for c in chunkings
                ]
    return ways


@pytest.mark.parametrize("stage, name, way, chunks", network_ways())
def test_stages_of_the_network(device, stage, name, way, chunks):
    case = GOLDEN[stage][name]
    got = stages_network.run(
        stage,
        name,
        case.params,
        case.inputs,
        chunks=stages_network.CHUNKINGS[chunks],
        kernels=KERNELS[way],
    )
    compared = set(got)
    if way == "bfloat16" and stage == "snn" and name in MOVING:
        compared -= {"gradient"}
    kept = {key: got[key] for key in compared}
    check(stage, outputs_of(case, *compared), kept, way)
    if way != "bfloat16":
        spikes = [key for key in case.outputs if key.startswith("spikes")]
        for key in (key for key in spikes if name != "none"):
            np.testing.assert_array_equal(np.round(got[key]), np.round(case.outputs[key]))


def test_detection_loss_and_rate_penalty(device):
    case = GOLDEN["losses"]["detection"]
    check("losses", case, stages_losses.detection(case.inputs))


@pytest.mark.parametrize("name", stages_losses.INFONCE)
def test_contrastive_losses(device, name):
    case = GOLDEN["losses"][name]
    check("losses", case, stages_losses.contrast(stages_losses.INFONCE[name], case.inputs))


@pytest.mark.parametrize("name", stages_losses.GRADIENTS)
@pytest.mark.parametrize("parts, way", [(1, "plain"), (4, "plain"), (2, "all"), (1, "bfloat16")])
def test_gradient_of_a_batch(device, name, parts, way):
    """In micro-batches, of unequal sizes too, and with every kernel."""
    case = GOLDEN["losses"][name]
    got = stages_losses.gradient(
        stages_losses.GRADIENTS[name],
        case.params,
        case.inputs,
        accumulation=parts,
        kernels=KERNELS[way],
    )
    if way == "bfloat16":  # spikes of the bridge move, and with them the gradient
        check("losses", outputs_of(case, "loss"), {"loss": got["loss"]}, way)
    else:
        check("losses", case, got, way)


@pytest.mark.parametrize("stage", stages_network.NETWORK)
def test_a_result_moved_in_its_fourth_digit_fails(stage):
    name = {"bridge": "rate"}.get(stage, next(iter(GOLDEN[stage])))
    case = GOLDEN[stage][name]
    moved = jax.tree.map(lambda x: x * np.float32(1.0003), case.params)
    got = stages_network.run(stage, name, moved, case.inputs)
    with pytest.raises(AssertionError, match=f"{stage} moved by"):
        check(stage, case, got)


def test_the_distance_sees_shapes_leaves_single_elements_and_non_finite_numbers():
    x = {"a": np.ones(1000), "b": np.full(3, -np.inf), "c": 1 + 1j * np.arange(4)}
    assert distance(x, x) == 0
    assert distance({"a": x["a"]}, x) == np.inf
    assert distance(x | {"a": np.ones(999)}, x) == np.inf
    assert distance(x | {"b": np.zeros(3)}, x) == np.inf
    assert distance(x | {"b": np.full(3, np.nan)}, x) == np.inf
    one = np.ones(1000)
    one[7] = 1.01
    assert distance(x | {"a": one}, x) == pytest.approx(0.01 / 1000**0.5)
    assert distance(x | {"c": 1 - 1j * np.arange(4)}, x) > 1


def test_each_stage_says_what_made_it_and_all_are_small():
    made = json.loads((FOLDER / "stages.json").read_text())
    files = sorted(FOLDER.glob("stages_*.npz"))
    assert sorted(made) == sorted(TOLERANCES) == [f.stem.removeprefix("stages_") for f in files]
    for record in made.values():
        assert {"python", "jax", "jaxlib", "flax", "spyx", "numpy", "machine"} <= set(record)
    assert sum(file.stat().st_size for file in files) < 300_000
