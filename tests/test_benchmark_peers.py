"""Peers of `ligo-benchmark`: what they run is the network that ours is."""

import jax.numpy as jnp
import numpy as np
import pytest

from ligo_cpc_snn.benchmarking import measuring, torch_device
from ligo_cpc_snn.benchmarking.spiking import (
    matrix_products,
    spiking_functions,
    spiking_setting,
)
from ligo_cpc_snn.benchmarking.spiking_peers import MODULES, TorchNetwork
from ligo_cpc_snn.config.model_schema import EncoderKind, Neuron, SnnConfig

# Of libraries that the bench extra brings, at their import.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

SHAPE, WIDTHS = (2, 24, 12), [10, 6]


def setting():
    """A network whose neurons all decay alike, by a number that floats hold exactly."""
    made = spiking_setting(SnnConfig(widths=WIDTHS), SHAPE)
    network = made.network
    for layer in network.layers:
        layer.neuron.beta[...] = jnp.full_like(layer.neuron.beta[...], 0.875)
    from flax import nnx

    return made._replace(params=nnx.split(network)[1])


def peer_layers(name: str, given) -> list[np.ndarray]:
    from ligo_cpc_snn.benchmarking.spiking_peers import torch_network

    network = torch_network(name, given, "cpu")
    spikes = torch_device.tensor(given.spikes, "cpu")
    return [layer.detach().numpy() for layer in network.layers(spikes)]


def our_layers(given) -> list[np.ndarray]:
    found, s_tbf = [], jnp.swapaxes(given.spikes, 0, 1)
    for layer in given.network.layers:
        s_tbf = layer(s_tbf, layer.initial_state(SHAPE[0]))[0].spikes
        found.append(np.asarray(s_tbf))
    return found


def test_plain_spyx_gives_our_numbers():
    found = spiking_functions(setting())
    ours, plain = found["snn"](), found["snn, spyx.nn.run"]()
    assert ours.shape == (24, 2, 2)
    np.testing.assert_allclose(ours, plain, atol=1e-5)
    assert np.std(ours) > 0


def test_snntorch_spikes_as_ours_a_frame_earlier():
    pytest.importorskip("snntorch", reason="extra bench")
    given = setting()
    ours, theirs = our_layers(given), peer_layers("snntorch", given)
    assert ours[0].mean() > 0.01
    np.testing.assert_array_equal(theirs[0][:-1], ours[0][1:])
    np.testing.assert_array_equal(theirs[1][:-2], ours[1][2:])


@pytest.mark.parametrize("name", ["norse", "snntorch"])
def test_frame_by_frame_a_peer_gives_what_it_gives_over_all_frames(name):
    pytest.importorskip(name, reason="extra bench")
    from ligo_cpc_snn.benchmarking.spiking_peers import torch_network
    from ligo_cpc_snn.benchmarking.spiking_stepwise import over_frames

    given = setting()
    network = torch_network(name, given, "cpu")
    spikes = torch_device.tensor(given.spikes, "cpu")
    whole, stepwise = network(spikes), over_frames(name, network)(spikes)
    np.testing.assert_allclose(stepwise.detach(), whole.detach(), atol=1e-5)
    assert whole.detach().std() > 0


def test_norse_and_spikingjelly_spike_alike():
    pytest.importorskip("norse", reason="extra bench")
    pytest.importorskip("spikingjelly", reason="extra bench")
    given = setting()
    norse, jelly = peer_layers("norse", given), peer_layers("spikingjelly", given)
    assert norse[0].mean() > 0.01
    np.testing.assert_array_equal(norse[0], jelly[0])
    np.testing.assert_array_equal(norse[1], jelly[1])
    assert not np.array_equal(norse[0][:-1], our_layers(given)[0][1:])  # another reset


def test_the_peers_readout_leaks_as_ours():
    torch = pytest.importorskip("torch", reason="extra bench")
    given = setting()
    network, own = given.network, our_layers(given)[-1]
    decay = float(network.leak.beta[...].mean())
    peer = TorchNetwork(
        lambda beta, device: lambda current: torch.tensor(own), [(np.ones((12, 6)), np.ones(6))],
        [np.ones(6)], network.product.kernel[...], decay, SHAPE[1], "cpu",
    )  # fmt: skip
    got = peer(torch_device.tensor(given.spikes, "cpu")).detach().numpy()
    np.testing.assert_allclose(got, np.asarray(network(given.spikes)), atol=1e-5)


def test_torchs_encoder_gives_our_latents():
    pytest.importorskip("torch", reason="extra bench")
    from flax import nnx

    from ligo_cpc_snn.benchmarking.torch_detector import ConvEncoder
    from ligo_cpc_snn.config.model_schema import EncoderConfig
    from ligo_cpc_snn.models.encoder import build_encoder

    strain = jnp.asarray(np.random.default_rng(0).normal(size=(3, 128, 1)), jnp.float32)
    for kind in (EncoderKind.patch, EncoderKind.conv):
        cfg = EncoderConfig(kind=kind, features=6)
        ours = build_encoder(cfg, channels=1, sample_rate_hz=1024, rngs=nnx.Rngs(3))
        theirs = ConvEncoder(cfg)
        theirs.take([(c.product.kernel[...], c.product.bias[...]) for c in ours.convs])
        got = theirs(torch_device.tensor(strain.transpose(0, 2, 1), "cpu")).detach().numpy()
        np.testing.assert_allclose(got, ours(strain, ours.initial_state(3))[0], atol=1e-4)


@pytest.mark.parametrize("name", ["spikingjelly", "snntorch"])
def test_torchs_training_step_learns(name):
    pytest.importorskip(name, reason="extra bench")
    from tiny import tiny

    from ligo_cpc_snn.benchmarking import stages, torch_step

    setting = stages.prepare_setting(tiny("training.batch_size=4"))
    assert torch_step.why_other_parts(setting.cfg.model) is None
    (step,) = torch_step.step_functions(setting, name).values()
    losses = [float(step().detach()) for _ in range(20)]
    assert np.all(np.isfinite(losses))
    assert losses[-1] < losses[0]


def test_parts_that_torch_has_no_counterpart_of_are_told():
    pytest.importorskip("torch", reason="extra bench")
    from ligo_cpc_snn.benchmarking.torch_step import why_other_parts
    from ligo_cpc_snn.config.model_schema import ModelConfig

    model = ModelConfig(snn=SnnConfig(neuron=Neuron.ALIF))
    assert why_other_parts(model) == "model.snn.neuron=ALIF is not written in torch"


def test_an_absent_peer_is_told_and_left_out(monkeypatch):
    monkeypatch.setitem(MODULES, "norse", ("no_such_package_of_anyone",))
    absent = measuring.absent_peers()
    assert "no_such_package_of_anyone is not installed: pip install" in absent["norse"]
    monkeypatch.setattr(measuring, "why_absent", lambda *names: None)
    monkeypatch.setattr(measuring, "why_no_torch_device", lambda: "no device like JAX's (gpu)")
    assert set(measuring.absent_peers()) == {*MODULES, "torch"}


def test_matrix_products_are_those_of_the_network():
    found = matrix_products(SHAPE, WIDTHS)
    shapes = [x.shape for x in found["matrix products"]()]
    assert shapes == [(48, 10), (48, 6), (48, 2)]
    _, back, of_weights = found["matrix products gradient"]()
    assert [x.shape for x in back] == [(48, 12), (48, 10), (48, 6)]
    assert [x.shape for x in of_weights] == [(12, 10), (10, 6), (6, 2)]
