"""The NIR graph: exact, whole, or refused; and what a hostile file is told."""

import contextlib
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
from exported import EXPORTABLE, detector_of, spikes_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ligo_cpc_snn.config.model_schema import Neuron
from ligo_cpc_snn.exporting.checking import compare, run_network
from ligo_cpc_snn.exporting.errors import ExportError
from ligo_cpc_snn.exporting.graph import compact_graph, snn_graph
from ligo_cpc_snn.exporting.hostile import read_graph
from ligo_cpc_snn.exporting.neurons import decay_per_frame, leaky
from ligo_cpc_snn.exporting.rebuild import network_of

DT = 1 / 32


def euler(graph: nir.NIRGraph, spikes: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Step NIR's own equations in float64; what goes back acts on the next step."""
    order = sorted(graph.nodes, key=lambda name: (name == "output", name))
    value = {name: np.zeros(int(np.prod(_width(graph, name)))) for name in order}
    membrane = {name: v.copy() for name, v in value.items()}
    seen: dict[str, list[np.ndarray]] = {name: [] for name in order}
    for frame in spikes:
        for name in order:
            given = frame if name == "input" else sum(value[a] for a, b in graph.edges if b == name)
            value[name] = _node(graph.nodes[name], given, membrane, name)
            seen[name].append(value[name].copy())
    told = {n: np.stack(x) for n, x in seen.items() if isinstance(graph.nodes[n], nir.Threshold)}
    return told, np.stack(seen["output"])[:, 0]


def _width(graph, name):
    return next(iter(graph.nodes[name].output_type.values()))


def _node(node, given, membrane, name):
    if isinstance(node, nir.LI):
        rate = node.v_leak - membrane[name] + node.r * given
        membrane[name] = membrane[name] + DT / node.tau * rate
        return membrane[name]
    if isinstance(node, nir.Threshold):
        return (given > node.threshold).astype(float)
    if isinstance(node, nir.Scale):
        return given * node.scale
    if isinstance(node, (nir.Affine, nir.Linear)):
        return node.weight @ given + getattr(node, "bias", 0.0)
    return given


@pytest.mark.parametrize("neuron", EXPORTABLE)
def test_the_graphs_equations_are_the_networks(neuron, tmp_path):
    snn = detector_of(neuron).network.snn
    nir.write(tmp_path / "snn.nir", snn_graph(snn, DT))
    spikes = spikes_for(snn)
    reference = run_network(snn, spikes)
    layers, logits = euler(read_graph(tmp_path / "snn.nir"), spikes)
    assert all(np.count_nonzero(x) > 20 for x in reference.layers)
    found = compare(reference, list(layers.values()), logits)
    assert found.differing == found.at_start <= 5
    assert found.largest_logit_difference < 1e-4


@pytest.mark.parametrize("neuron", EXPORTABLE)
def test_a_round_trip_gives_every_parameter_and_spike_again(neuron, tmp_path):
    snn = detector_of(neuron).network.snn
    nir.write(tmp_path / "snn.nir", snn_graph(snn, DT))
    again, dt = network_of(read_graph(tmp_path / "snn.nir"))
    assert dt == DT
    spikes = spikes_for(snn)
    one, other = run_network(snn, spikes), run_network(again, spikes)
    assert all(map(np.array_equal, one.layers, other.layers))
    assert np.array_equal(one.logits, other.logits)


@pytest.mark.parametrize("neuron, why", [(Neuron.ALIF, "multiplies"), (Neuron.none, "rectifi")])
def test_what_nir_cannot_hold_is_refused_by_name(neuron, why):
    with pytest.raises(ExportError, match=rf"layer_0: neurons of kind \w+ cannot.*{why}"):
        snn_graph(detector_of(neuron).network.snn, DT)


def test_no_node_is_left_out():
    snn = detector_of(Neuron.RCuBaLIF).network.snn
    kinds = [type(node).__name__ for node in snn_graph(snn, DT).nodes.values()]
    assert kinds.count("LI") == 2 * 2 + 1  # synapse and membrane of each layer, the readout
    assert kinds.count("Threshold") == 2
    assert kinds.count("Linear") == 2 + 1  # recurrent weights, the readout's


def test_the_compact_graph_says_its_reset_and_takes_plain_lif_only():
    graph = compact_graph(detector_of().network.snn, DT)
    node = graph.nodes["layer_0_3_lif"]
    assert isinstance(node, nir.LIF)
    assert node.metadata == {"reset": "subtract"}
    with pytest.raises(ExportError, match="RLIF"):
        compact_graph(detector_of(Neuron.RLIF).network.snn, DT)


@given(st.floats(0, 1, width=32))
def test_a_decay_survives_its_time_constant(decay):
    node = leaky(np.array([decay]), DT)
    assert np.isfinite(node.tau).all()
    back = decay_per_frame(node.tau, DT)[0]
    # Of decays that leave a millionth after a frame no more than float64's rounding is lost.
    assert back == np.float32(decay) if decay > 2**-20 else abs(back - decay) < 2**-51
    assert node.r * DT / node.tau == pytest.approx(1)


@pytest.fixture
def file(tmp_path) -> Path:
    nir.write(tmp_path / "snn.nir", snn_graph(detector_of().network.snn, DT))
    return tmp_path / "snn.nir"


def _soft(f):
    f["node/nodes/x"] = h5py.SoftLink("/node")


def _external(f):
    f["node/nodes/x"] = h5py.ExternalLink("/etc/passwd", "/")


def _cycle(f):
    f["node/nodes/x"] = f["node"]


def _bomb(f):
    f.create_dataset("node/x", (10**9,), "f8", chunks=(1000,), compression="gzip")


def _virtual(f):
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    f.create_virtual_dataset("node/x", layout)


def _reference(f):
    f.create_dataset("node/x", data=f["node"].ref, dtype=h5py.ref_dtype)


def _name(f):
    del f["node/nodes/layer_0_4_spike/type"]
    f["node/nodes/layer_0_4_spike/type"] = "__import__"


def _wide(f):
    del f["node/nodes/layer_0_4_spike/threshold"]
    f["node/nodes/layer_0_4_spike/threshold"] = np.ones(7)


def _infinite(f):
    f["node/nodes/layer_0_1_weights/bias"][0] = np.inf


def _swapped(f):
    edges = f["node/edges"][()]
    edges[0], edges[1] = edges[1].copy()[::-1], edges[0].copy()
    f["node/edges"][...] = edges


def _no_step(f):
    del f["node/metadata/dt"]


EVIL = (_soft, _external, _cycle, _bomb, _virtual, _reference, _name, _wide, _infinite, _swapped)


@pytest.mark.parametrize("change", [*EVIL, _no_step], ids=lambda x: x.__name__)
def test_a_hostile_graph_is_refused_in_one_line(file, change):
    with h5py.File(file, "a") as f:
        change(f)
    with pytest.raises(ExportError) as told:
        network_of(read_graph(file))
    assert "\n" not in str(told.value)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 1), value=st.integers(0, 255))
def test_a_flipped_byte_never_ends_in_another_error(file, tmp_path, place, value):
    body = bytearray(file.read_bytes())
    body[int(place * (len(body) - 1))] = value
    (tmp_path / "flipped.nir").write_bytes(body)
    with contextlib.suppress(ExportError):
        network_of(read_graph(tmp_path / "flipped.nir"))


def test_text_is_no_graph(tmp_path):
    (tmp_path / "x.nir").write_text("cposix\nsystem\n(S'echo evil'\ntR.")
    with pytest.raises(ExportError, match="cannot be read"):
        read_graph(tmp_path / "x.nir")
    with pytest.raises(ExportError, match="not there"):
        read_graph(tmp_path / "y.nir")
