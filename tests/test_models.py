"""Laws of the detector: causal, chunked equals whole, hoisted equals Spyx's own run."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import spyx.nn
from flax import nnx

from ligo_cpc_snn.config.model_schema import (
    BridgeConfig,
    BridgeInput,
    BridgeKind,
    ContextKind,
    DetectorFusion,
    EncoderKind,
    ModelConfig,
    Neuron,
    SnnConfig,
    Surrogate,
)
from ligo_cpc_snn.models.bridge import build_bridge
from ligo_cpc_snn.models.detector import Detector, window_logits
from ligo_cpc_snn.models.snn import SpikingNetwork
from ligo_cpc_snn.models.surrogate import build_surrogate

SAMPLES = 1024
TOLERANCE = 1e-5


def config(**choices) -> ModelConfig:
    model = ModelConfig()
    model.encoder.features = model.context.features = 12
    model.context.dilations = [1, 2]
    model.snn.widths = [16, 12]
    for path, value in choices.items():
        section, name = path.split("__")
        setattr(getattr(model, section), name, value)
    return model


CASES = {
    "default": config(),
    "conv encoder": config(encoder__kind=EncoderKind.conv),
    "joint": config(encoder__detectors=DetectorFusion.joint),
    "gru": config(context__kind=ContextKind.gru),
    "conv context": config(context__kind=ContextKind.conv),
    "from latents": config(bridge__input=BridgeInput.latents),
    "levels": config(bridge__kind=BridgeKind.threshold, bridge__levels=3),
    "multirate": config(encoder__kind=EncoderKind.multirate, encoder__fast_seconds=0.1),
    **{kind.value: config(bridge__kind=kind) for kind in BridgeKind},
    **{neuron.value: config(snn__neuron=neuron) for neuron in Neuron},
}


def detector(model: ModelConfig) -> Detector:
    return Detector(model, detectors=2, sample_rate_hz=512, rngs=nnx.Rngs(1))


def strain(batch: int = 3) -> jax.Array:
    return 2.0 * jax.random.normal(jax.random.key(4), (batch, 2, SAMPLES))


# Compiled once per network and length: the tests of one network share it.
run = nnx.jit(lambda network, x, state: network(x, state))


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES.keys())
def network(request) -> Detector:
    return detector(request.param)


def test_the_future_changes_nothing_in_the_past(network):
    frame = SAMPLES // network.frame_samples // 2
    cut = frame * network.frame_samples
    x = strain()
    silence = network.initial_state(x.shape[0])
    one, _ = run(network, x, silence)
    other, _ = run(network, x.at[..., cut:].add(3.0), silence)
    np.testing.assert_array_equal(one.frame_logits[:, :frame], other.frame_logits[:, :frame])
    np.testing.assert_array_equal(one.bridge_spikes[:, :frame], other.bridge_spikes[:, :frame])
    context, changed = one.representation.context, other.representation.context
    np.testing.assert_array_equal(context[:, :frame], changed[:, :frame])
    assert np.abs(context[:, frame:] - changed[:, frame:]).max() > 1e-3


def test_chunks_give_what_the_whole_gives(network):
    x, step = strain(), network.frame_samples
    whole, last = run(network, x, network.initial_state(x.shape[0]))
    edges = [0, step, 5 * step, SAMPLES]  # shorter than a layer's memory, about it, far longer
    state, logits, spikes = network.initial_state(x.shape[0]), [], []
    for a, b in itertools.pairwise(edges):
        part, state = run(network, x[..., a:b], state)
        logits.append(part.frame_logits)
        spikes.append(part.bridge_spikes)
    np.testing.assert_allclose(
        jnp.concatenate(logits, axis=1), whole.frame_logits, atol=TOLERANCE, rtol=TOLERANCE
    )
    np.testing.assert_allclose(jnp.concatenate(spikes, axis=1), whole.bridge_spikes, atol=TOLERANCE)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(last), strict=True):
        np.testing.assert_allclose(a, b, atol=TOLERANCE, rtol=TOLERANCE)


def test_every_parameter_has_a_gradient(network):
    """Each choice trains from the logit back to the first convolution."""

    def loss(m, x):
        detection, _ = m(x)
        return jnp.mean(window_logits(detection.frame_logits) ** 2)

    gradient = nnx.to_pure_dict(nnx.jit(nnx.grad(loss))(network, strain()))
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.all(np.isfinite(leaf)), path
    assert max(np.abs(x).max() for x in jax.tree.leaves(gradient["encoder"])) > 0
    assert max(np.abs(x).max() for x in jax.tree.leaves(gradient["snn"])) > 0


@pytest.mark.parametrize("neuron", Neuron)
@pytest.mark.parametrize("surrogate", [Surrogate.arctan, Surrogate.superspike])
def test_hoisted_network_equals_spyx_run(neuron, surrogate):
    """Same weights, through `spyx.nn.run` over a Sequential: outputs and gradients."""
    cfg = SnnConfig(neuron=neuron, widths=[20, 10], surrogate=surrogate)
    ours = SpikingNetwork(cfg, inputs=14, frame_seconds=0.01, rngs=nnx.Rngs(3))
    spikes = (jax.random.uniform(jax.random.key(2), (4, 60, 14)) < 0.3).astype(jnp.float32)
    spikes = 2.0 * spikes
    target = jax.random.normal(jax.random.key(7), (4, 60))

    def hoisted(m, x):
        return m(x, m.initial_state(4))[0]

    def plain(m, x):
        parts = [p for layer in m.layers for p in (layer.product, layer.neuron)]
        model = spyx.nn.Sequential(*parts, m.readout.product, m.readout.leak)
        out, _ = spyx.nn.run(model, x, batch_major=True)
        return (out + m.readout.bias[...])[..., 0]

    def value_and_gradients(run):
        def loss(m, x):
            out = run(m, x)
            return jnp.mean((out - target) ** 2), out

        (_, out), grads = nnx.jit(nnx.value_and_grad(loss, argnums=(0, 1), has_aux=True))(
            ours, spikes
        )
        return out, (nnx.to_pure_dict(grads[0]), grads[1])

    out, gradients = value_and_gradients(hoisted)
    expected, expected_gradients = value_and_gradients(plain)
    assert np.std(expected) > 1e-3
    np.testing.assert_allclose(out, expected, atol=TOLERANCE, rtol=TOLERANCE)
    for path, leaf in jax.tree_util.tree_leaves_with_path(expected_gradients):
        got = dict(jax.tree_util.tree_leaves_with_path(gradients))[path]
        scale = max(float(np.abs(leaf).max()), 1e-3)
        np.testing.assert_allclose(got / scale, leaf / scale, atol=TOLERANCE, err_msg=str(path))


def test_temporal_contrast_spikes_where_latents_rise_and_fall():
    bridge = build_bridge(BridgeConfig(threshold=0.5), features=1)
    latents = jnp.array([0.0, 0.4, 1.0, 1.0, 0.2, 0.2])[None, :, None]
    spikes, last = bridge(latents, bridge.initial_state(1), jax.random.split(jax.random.key(0), 1))
    np.testing.assert_array_equal(spikes[0, :, 0], [0, 0, 1, 0, 0, 0])  # +0.6
    np.testing.assert_array_equal(spikes[0, :, 1], [0, 0, 0, 0, 1, 0])  # -0.8
    assert float(last[0, 0]) == pytest.approx(0.2)


def test_latency_gives_one_spike_per_block_the_larger_the_earlier():
    bridge = build_bridge(BridgeConfig(kind=BridgeKind.latency, latency_frames=4), features=3)
    latents = jnp.broadcast_to(jnp.array([3.0, 0.0, -3.0]), (1, 8, 3))
    keys = jax.random.split(jax.random.key(0), 1)
    spikes, _ = bridge(latents, bridge.initial_state(1), keys)
    np.testing.assert_array_equal(spikes.reshape(2, 4, 3).sum(axis=1), np.ones((2, 3)))
    first = np.argmax(spikes[0, :4], axis=0)
    assert list(first) == sorted(first)
    assert first[0] < first[2]


def test_rate_spikes_are_as_frequent_as_their_probability():
    bridge = build_bridge(BridgeConfig(kind=BridgeKind.rate), features=2)
    latents = jnp.broadcast_to(jnp.array([0.0, 2.0]), (64, 200, 2))
    keys = jax.random.split(jax.random.key(0), 64)
    spikes, _ = bridge(latents, bridge.initial_state(64), keys)
    expected = jax.nn.sigmoid(jnp.array([0.0, 2.0]) - 2.0)
    sigma = np.sqrt(expected * (1 - expected) / (64 * 200))
    assert np.all(np.abs(spikes.mean(axis=(0, 1)) - expected) < 4 * sigma)


@pytest.mark.parametrize("surrogate", Surrogate)
def test_surrogates_step_forward_and_slope_backward(surrogate):
    spike = build_surrogate(surrogate, 2.0)
    np.testing.assert_array_equal(spike(jnp.array([-0.1, 0.1])), [0.0, 1.0])
    assert float(jax.grad(lambda x: spike(x))(0.05)) > 0


def test_window_logit_is_the_mean_of_exponentials():
    logits = jnp.array([[1.0, 1.0, 1.0], [-50.0, -50.0, 9.0]])
    expected = [1.0, 9.0 - np.log(3)]
    np.testing.assert_allclose(window_logits(logits), expected, rtol=1e-6)
    assert float(window_logits(jnp.full((1, 4), 1e4))[0]) == pytest.approx(1e4)


def test_wrong_shapes_are_named():
    network = detector(config())
    with pytest.raises(ValueError, match="3 detectors, the model has 2"):
        network(jnp.zeros((1, 3, 512)))
    with pytest.raises(ValueError, match="not a multiple of the stride 16"):
        network(jnp.zeros((1, 2, 500)))
    with pytest.raises(ValueError, match="not a multiple of stride"):
        detector(config(encoder__patch=33))


def test_levels_count_how_large_a_latent_is():
    cfg = BridgeConfig(kind=BridgeKind.threshold, threshold=1.0, levels=3, spacing=0.5)
    bridge = build_bridge(cfg, features=2)
    latents = jnp.asarray([[[0.9, 1.2], [1.7, 9.0]]])
    spikes, _ = bridge(latents, (), jax.random.split(jax.random.key(0), 1))
    assert bridge.channels == 6
    np.testing.assert_array_equal(spikes[0].reshape(2, 2, 3).sum(-1), [[0, 1], [2, 3]])


def test_exchangeable_detectors_give_the_same_logits_swapped():
    model = config(snn__exchangeable=True)
    x = strain()
    network = detector(model)
    there, _ = network(x)
    swapped, _ = network(x[:, ::-1])
    np.testing.assert_allclose(there.frame_logits, swapped.frame_logits, atol=TOLERANCE)
    plain, _ = detector(config())(x)
    other, _ = detector(config())(x[:, ::-1])
    assert not np.allclose(plain.frame_logits, other.frame_logits, atol=1e-3)


def test_graded_head_is_as_large_as_a_spiking_one_and_passes_numbers():
    spiking, graded = detector(config()), detector(config(snn__neuron=Neuron.none))
    sizes = [sum(x.size for x in jax.tree.leaves(nnx.state(d))) for d in (spiking, graded)]
    assert sizes[0] == sizes[1]
    values = np.asarray(graded(strain())[0].layers[0].spikes)
    assert values.min() >= 0
    assert np.unique(values).size > 10


def test_windows_leave_their_warm_up_out():
    model = config()
    model.warm_up_seconds = 0.5  # 16 of 64 frames at 32 Hz
    network = detector(model)
    frame = 0.5 * 512 / network.frame_samples
    logits = jnp.zeros((1, 2 * round(frame))).at[0, : round(frame)].set(100.0)
    np.testing.assert_allclose(network.window_logits(logits), 0.0, atol=TOLERANCE)
    with pytest.raises(ValueError, match=r"warm-up: lower\s+model.warm_up_seconds"):
        network.window_logits(logits[:, : round(frame)])


def test_features_joined_are_the_whole_detector():
    network, x = detector(config()), strain()
    keys = jax.random.split(jax.random.key(0), 6)
    whole, _ = network(x, keys=keys)
    features, state = network.features(x, network.initial_state(3), keys)
    logits, _ = network.join(features, state.snn)
    np.testing.assert_array_equal(logits, whole.frame_logits)
    joint = detector(config(encoder__detectors=DetectorFusion.joint))
    with pytest.raises(ValueError, match="joint has no features"):
        joint.features(x, joint.initial_state(3), keys[:3])
