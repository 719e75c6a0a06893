"""An exported folder: the front end in chunks, the check, the simulator, the command line."""

import json
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exported import EXPORTABLE, detector_of, spikes_for
from jax import export as jax_export
from small_detector import NAMES

from ligo_cpc_snn.config.model_schema import (
    BridgeInput,
    BridgeKind,
    ContextKind,
    DetectorFusion,
    EncoderKind,
    Neuron,
)
from ligo_cpc_snn.exporting import description as names
from ligo_cpc_snn.exporting.agreement import agreement
from ligo_cpc_snn.exporting.checking import check_folder, compare, run_network
from ligo_cpc_snn.exporting.description import read_description
from ligo_cpc_snn.exporting.errors import ExportError
from ligo_cpc_snn.exporting.folder import export_folder
from ligo_cpc_snn.exporting.front_end import (
    Port,
    export_front_end,
    initial_leaves,
    load_front_end,
    run_front_end,
)
from ligo_cpc_snn.exporting.graph import compact_graph, snn_graph
from ligo_cpc_snn.exporting.quantisation import Weights
from ligo_cpc_snn.search.weights import save_detector

KINDS = [
    {},
    {"bridge__input": BridgeInput.latents, "bridge__kind": BridgeKind.threshold},
    {"bridge__kind": BridgeKind.rate},
    {"bridge__kind": BridgeKind.latency},
    {"bridge__kind": BridgeKind.none},
    {"context__kind": ContextKind.gru},
    {"encoder__kind": EncoderKind.conv, "encoder__detectors": DetectorFusion.joint},
    {
        "encoder__kind": EncoderKind.multirate,
        "encoder__fast_rank": 3,
        "encoder__slow_rank": 3,
        "encoder__slow_seconds": 0.4,
    },
]


def strain_for(detector, frames=70):
    rng = np.random.default_rng(0)
    shape = (len(NAMES), frames * detector.frame_samples)
    return (3 * rng.normal(size=shape)).astype(np.float32)


def words(kind) -> str:
    return "-".join(getattr(x, "name", str(x)) for x in kind.values()) or "default"


@pytest.mark.parametrize("kind", KINDS, ids=words)
def test_the_front_end_in_chunks_is_the_detectors(kind):
    detector = detector_of(**kind)
    network, strain = detector.network, strain_for(detector)
    made = export_front_end(network)
    chunk = load_front_end(made.program, made.inputs, made.outputs)
    samples = [n * detector.frame_samples for n in (1, 40, 29)]
    calls = list(strain) if network.shared else [strain]
    keys = made.keys or [None] * len(calls)
    state, _ = initial_leaves(network)
    runs = [run_front_end(chunk, state, x, samples, k) for x, k in zip(calls, keys, strict=True)]
    keys = jax.random.split(jax.random.key(0), network.sequences(1))
    expected = np.asarray(network(jnp.asarray(strain[None]), keys=keys)[0].bridge_spikes[0])
    assert np.count_nonzero(expected) > 0
    np.testing.assert_allclose(np.concatenate(runs, axis=-1), expected, atol=1e-4)


def test_what_the_bridge_does_not_look_at_is_not_in_the_program():
    detector = detector_of(bridge__input=BridgeInput.latents)
    ports = export_front_end(detector.network).inputs
    assert not any(port.name.startswith("state.context") for port in ports)
    assert ports[0].shape == ["8*f"]


def test_a_program_that_calls_out_of_it_is_refused():
    def evil(x):
        return jax.ffi.ffi_call("evil_target", jax.ShapeDtypeStruct(x.shape, x.dtype))(x)

    given = jax.ShapeDtypeStruct((3,), jnp.float32)
    allowed = [jax_export.DisabledSafetyCheck.custom_call("evil_target")]
    made = jax_export.export(jax.jit(evil), disabled_checks=allowed)(given)
    port = [Port("x", ["3"], "float32")]
    with pytest.raises(ExportError, match="calls evil_target"):
        load_front_end(bytes(made.serialize()), port, port)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("exported")
    export_folder(path, detector_of())
    return path


def test_a_folder_agrees_with_its_detector(folder):
    found = check_folder(folder, strain_for(detector_of()), independent=False)
    assert found.good
    assert (found.front_end_differing, found.round_trip.differing) == (0, 0)
    assert found.bridge_spikes > 0
    assert found.round_trip.spikes > 0


def test_the_readme_and_the_description_say_what_is_there(folder):
    text = (folder / names.README).read_text()
    found = read_description(folder)
    assert "6 LIF, 5 LIF" in text
    assert not re.search(r"\{\w+\}", text)
    assert found.strain.detectors == list(NAMES)
    assert found.front_end.inputs[0].shape == ["8*f"]
    assert found.snn.channels == 16
    assert found.snn.lag_frames == 2
    assert set(found.sha256) == set(names.DIGESTED)


@pytest.mark.parametrize("name", [names.FRONT_END, names.SNN, names.COMPACT, names.DETECTOR])
def test_a_changed_file_is_noticed(folder, tmp_path, name):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    body = bytearray((tmp_path / name).read_bytes())
    body[len(body) // 2] ^= 1
    (tmp_path / name).write_bytes(body)
    with pytest.raises(ExportError, match=rf"{name}.*SHA-256"):
        check_folder(tmp_path, strain_for(detector_of()), independent=False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"format": 1, "x": 2}',
        '{"snn": {"channels": "many"}}',
        "[" * 100_000,
        "null",
    ],
)
def test_a_hostile_description_is_refused_in_one_line(tmp_path, text):
    (tmp_path / names.DESCRIPTION).write_text(text)
    with pytest.raises(ExportError) as told:
        read_description(tmp_path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("cut", [0, 10, 1000])
def test_a_damaged_program_is_refused(folder, cut):
    told = read_description(folder).front_end
    body = (folder / names.FRONT_END).read_bytes()
    with pytest.raises(ExportError):
        load_front_end(body[:cut], told.inputs, told.outputs)
    with pytest.raises(ExportError, match="description has others"):
        load_front_end(body, told.outputs, told.inputs)


def test_other_neurons_have_no_compact_graph_and_the_readme_says_why(tmp_path):
    found = export_folder(tmp_path, detector_of(Neuron.RLIF))
    assert not found.snn.compact
    assert not (tmp_path / names.COMPACT).exists()
    assert "RLIF has no single node" in (tmp_path / names.README).read_text()
    with pytest.raises(ExportError, match="ALIF"):
        export_folder(tmp_path / "other", detector_of(Neuron.ALIF))
    assert not (tmp_path / "other").exists()


def test_every_difference_has_its_reason():
    one = np.zeros((60, 1))
    one[42] = 1
    margin, logits = np.full((60, 1), 0.5), np.zeros(60)
    other, near = one.copy(), margin.copy()
    other[[44, 46]], near[44] = 1, 1e-6
    many = np.zeros((60, 100))
    many[1:51] = 1  # so many spikes that two are few
    one, other = np.hstack([one, many]), np.hstack([other, many])
    margin, near = (np.hstack([x, 0 * many + 0.5]) for x in (margin, near))
    found = agreement([one], [other], [near], logits, logits, lags=False)
    assert (found.differing, found.by_rounding, found.by_an_earlier_one) == (2, 1, 1)
    assert found.explained
    assert not agreement([one], [other], [margin], logits, logits, lags=False).explained
    assert replace(found, spikes=10).explained is False  # the first must not excuse the rest
    ahead = np.roll(one, -1, axis=0)
    assert agreement([one], [ahead], [margin], logits, logits, lags=True).differing == 0
    ahead[3, 0] = 1
    assert agreement([one], [ahead], [margin], logits, logits, lags=True).at_start == 1


@pytest.mark.parametrize("neuron", EXPORTABLE)
def test_snntorch_spikes_as_this_package_does(neuron):
    pytest.importorskip("nirtorch", reason="extra export")
    pytest.importorskip("snntorch", reason="extra export")
    from ligo_cpc_snn.exporting.simulate import ZERO, simulate

    snn = detector_of(neuron).network.snn
    spikes = spikes_for(snn, 200)
    reference = run_network(snn, spikes)
    got = simulate(snn_graph(snn, 1 / 32), spikes)
    found = compare(reference, got.layers, got.logits)
    assert found.differing == found.at_start <= 5
    assert found.largest_logit_difference < 1e-4
    if neuron is Neuron.LIF:
        graph = compact_graph(snn, 1 / 32)
        subtracted, zeroed = simulate(graph, spikes), simulate(graph, spikes, reset=ZERO)
        same = compare(reference, subtracted.layers, subtracted.logits)
        assert same.differing == same.at_start <= 5
        assert not compare(reference, zeroed.layers, zeroed.logits).explained


def test_the_command_exports_checks_and_tells_errors(tmp_path, monkeypatch, capsys):
    from ligo_cpc_snn import export
    from ligo_cpc_snn.runtime import environment

    monkeypatch.setattr(environment, "prepare", lambda *_: None)  # JAX is imported already
    monkeypatch.setenv("LIGO_CACHE_DIR", str(tmp_path / "cache"))
    detector = replace(detector_of(), sample_rate_hz=256)
    file = save_detector(tmp_path / "small.safetensors", detector)
    out = tmp_path / "out"
    assert export.main([str(file), "-o", str(out), "--weights", "ternary"]) == 0
    assert read_description(out).weights == Weights.ternary.value
    assert export.main(["--check", str(out), "--seconds", "8", "--no-simulator"]) == 0
    assert "agrees over 8 s" in capsys.readouterr().out
    assert json.loads((out / names.CHECK).read_text())["good"]
    assert export.main(["--energy", str(file), "--seconds", "8"]) == 0
    assert "int8 products everywhere" in capsys.readouterr().out
    for wrong in ([], [str(file)], ["--check", str(tmp_path)], ["nobody", "-o", str(out)]):
        assert export.main(wrong) == 1
        assert re.fullmatch(r"error: .+\n", capsys.readouterr().err)
