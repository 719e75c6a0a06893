"""Every device, kernel and chunking gives the golden references of data and search."""

import jax
import numpy as np
import pytest
from golden import stages_data, stages_search
from golden.stages_files import TOLERANCES, Case, load
from golden.stages_ways import DEVICES, KERNELS, check, on

from ligo_cpc_snn.search import feature_slides
from ligo_cpc_snn.signals import whitened


@pytest.fixture(scope="module", params=DEVICES)
def device(request):
    with on(request.param):
        yield


def only(stage: str) -> Case:
    (case,) = load(stage).values()
    return case


@pytest.mark.parametrize("pieces", [1, 3, 7])
def test_whitening(pieces):
    case = only("whitening")
    check("whitening", case, stages_data.whitening(case.inputs, pieces))


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("name", ["at rest", "turning"])
def test_projection(device, name, pieces):
    case = load("projection")[name]
    check("projection", case, stages_data.projection(name == "turning", case.inputs, pieces))


@pytest.mark.parametrize("chunk", [2, 16])
def test_banked_signals(device, chunk, monkeypatch):
    monkeypatch.setattr(whitened, "CHUNK", chunk)
    case = only("signals")
    check("signals", case, stages_data.signals(case.inputs))


@pytest.mark.parametrize("name, compiled", [("plain", True), ("negatives", True), ("plain", False)])
def test_composition(device, name, compiled):
    case = load("composition")[name]
    got = stages_data.composition(stages_data.COMPOSITIONS[name], case.inputs, compiled)
    check("composition", case, got)
    # All draws are whole numbers of the same bits: no example may have another label.
    for i, batch in case.outputs.items():
        np.testing.assert_array_equal(got[i]["label"], batch["label"])


@pytest.mark.parametrize(
    "way, chunk_seconds, streams", [("plain", 60.0, 1), ("plain", 0.1, 3), ("all", 1.0, 2)]
)
def test_search(device, way, chunk_seconds, streams):
    case = only("search")
    got = stages_search.search(
        case.params,
        case.inputs,
        chunk_seconds=chunk_seconds,
        streams=streams,
        kernels=KERNELS[way],
    )
    check("search", case, got, way)


def test_search_in_bfloat16_moves_few_spikes_and_no_usual_frame(device):
    # Of these few neurons a moved spike changes the statistic at once, for some frames.
    case = only("search")
    got = stages_search.search(case.params, case.inputs, kernels=KERNELS["bfloat16"])
    assert not np.array_equal(got[0]["value"], case.outputs[0]["value"])  # it was in bfloat16
    for i, expected in case.outputs.items():
        moved = np.sum(got[i]["features"] != expected["features"])
        assert moved <= 0.01 * np.count_nonzero(expected["features"])
        off = np.abs(got[i]["value"] - expected["value"])
        assert np.median(off) <= TOLERANCES["search"].bfloat16 * np.abs(expected["value"]).max()


@pytest.mark.parametrize("pieces", [1, 4, 13])
def test_triggers(pieces):
    case = only("triggers")
    check("triggers", case, stages_search.triggers(case.inputs, pieces))


@pytest.mark.parametrize("way, chunk_frames, slides_at_once", [("plain", 512, 5), ("all", 64, 2)])
def test_slides(device, way, chunk_frames, slides_at_once, monkeypatch):
    monkeypatch.setattr(feature_slides, "CHUNK_FRAMES", chunk_frames)
    case = only("slides")
    got = stages_search.slides(
        case.params, case.inputs, kernels=KERNELS[way], at_a_time=slides_at_once
    )
    check("slides", case, got)


@pytest.mark.parametrize("stage", ["search", "slides"])
def test_a_search_moved_in_its_fourth_digit_fails(stage):
    case = only(stage)
    params = jax.tree.map(lambda x: x * np.float32(1.0003), case.params)
    run = {"search": stages_search.search, "slides": stages_search.slides}[stage]
    with pytest.raises(AssertionError, match=f"{stage} moved by"):
        check(stage, case, run(params, case.inputs))
