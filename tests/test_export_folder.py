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
from ligo_cpc_snn.exporting import front_end_process
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
from ligo_cpc_snn.exporting.front_end_child import calls_out
from ligo_cpc_snn.exporting.front_end_process import FrontEndProcess
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


def test_what_no_front_end_needs_is_found_however_it_is_written():
    text = """module {
      func.func private @inner(%x: tensor<2xf32>) -> tensor<2xf32> {
        %y = "stablehlo.custom_call"(%x) {call_target_name = ""} : (tensor<2xf32>) -> tensor<2xf32>
        return %y : tensor<2xf32>
      }
      func.func public @main(%x: tensor<2xf32>, %n: tensor<i1>) -> tensor<2xf32> {
        stablehlo.custom_call @shape_assertion(%n) : (tensor<i1>) -> ()
        %y = stablehlo.custom_call @"a\\22b c"(%x) : (tensor<2xf32>) -> tensor<2xf32>
        %t = stablehlo.create_token : !stablehlo.token
        %z:2 = "stablehlo.infeed"(%t) : (!stablehlo.token) -> (tensor<2xf32>, !stablehlo.token)
        %w = func.call @inner(%y) : (tensor<2xf32>) -> tensor<2xf32>
        return %w : tensor<2xf32>
      }
    }"""
    assert calls_out(text) == {"", 'a"b c', "stablehlo.infeed"}


def exported_of(function):
    given = jax.ShapeDtypeStruct((3,), jnp.float32)
    return bytes(jax_export.export(jax.jit(function))(given).serialize())


def test_a_program_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(front_end_process, "RUN_SECONDS", 4.0)
    port = [Port("x", ["3"], "float32")]
    # Its condition depends on what is given: XLA cannot see that it stays true.
    endless = lambda x: jax.lax.while_loop(lambda y: y[0] < 1, lambda y: y * x, x)  # noqa: E731
    chunk = load_front_end(exported_of(endless), port, port)
    with pytest.raises(ExportError, match=r"cannot be run \(no answer within 4 s\)"):
        chunk(np.zeros(3, np.float32))
    with pytest.raises(ExportError, match="load the front end again"):
        chunk(np.zeros(3, np.float32))


def test_arrays_of_other_shapes_are_refused_in_one_line():
    port = [Port("x", ["3"], "float32")]
    chunk = load_front_end(exported_of(lambda x: 2 * x), port, port)
    with pytest.raises(ExportError, match="cannot be run") as told:
        chunk(np.zeros(4, np.float32))
    assert str(told.value).isprintable()
    assert chunk(np.ones(3, np.float32))[0].tolist() == [2, 2, 2]


def test_the_end_of_the_child_is_told(monkeypatch):
    port = [Port("x", ["3"], "float32")]
    for code, told in (
        ("import os; os.kill(os.getpid(), 11)", "ended by SIGSEGV"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL, perhaps for want of memory"),
        ("raise ValueError('a\\x1b\\n')", "exit code 1: ValueError"),
        ("print('0123456789abcdef' * 9)", "exit code 0"),
        ("import time; print('x' * 99, flush=True); time.sleep(99)", "what is no answer"),
    ):
        monkeypatch.setattr(front_end_process, "_code", lambda code=code: code)
        with pytest.raises(ExportError, match=told) as error:
            load_front_end(b"x", port, port)
        assert str(error.value).isprintable()


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


def test_a_damaged_program_is_refused(folder):
    told = read_description(folder).front_end
    body, process = (folder / names.FRONT_END).read_bytes(), FrontEndProcess()
    for cut in (0, 10, 1000):
        with pytest.raises(ExportError):
            load_front_end(body[:cut], told.inputs, told.outputs, process)
    with pytest.raises(ExportError, match="description has others"):
        load_front_end(body, told.outputs, told.inputs, process)


# Bytes from the end and bits, found at random. In jaxlib 0.10.2 all but the last two of them end
# the process that parses them by SIGSEGV.
FLIPS = [(906, 7), (933, 2), (1178, 1), (100, 0), (2500, 4)]


def test_a_damaged_program_ends_no_process_but_its_own(folder):
    found, network = read_description(folder).front_end, detector_of().network
    state, _ = initial_leaves(network)
    strain = np.zeros(network.frame_samples, np.float32)
    process, said = FrontEndProcess(), []
    for place, bit in FLIPS:
        body = bytearray((folder / names.FRONT_END).read_bytes())
        body[-place] ^= 1 << bit
        process = process if process.alive else FrontEndProcess()
        try:
            chunk = load_front_end(bytes(body), found.inputs, found.outputs, process)
            run_front_end(chunk, state, strain, [strain.size])
        except ExportError as error:
            said.append(str(error))
    assert all(text.isprintable() for text in said)


def test_the_check_of_a_damaged_program_is_an_error_of_one_line(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    body = bytearray((tmp_path / names.FRONT_END).read_bytes())
    body[-906] ^= 1 << 7
    (tmp_path / names.FRONT_END).write_bytes(body)
    tree = json.loads((tmp_path / names.DESCRIPTION).read_text())
    tree["sha256"][names.FRONT_END] = names.digest(bytes(body))
    (tmp_path / names.DESCRIPTION).write_text(json.dumps(tree))
    with pytest.raises(ExportError, match="the front end cannot be read") as told:
        check_folder(tmp_path, strain_for(detector_of()), independent=False)
    assert str(told.value).isprintable()


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
