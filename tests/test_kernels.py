"""Every kernel gives what the plain scan gives, within the table of `models/kernels.py`.

Stages and whole batches under each kernel are held against `tests/golden/` in
`test_golden_stages.py`; here are the kernels alone.
"""

from dataclasses import replace
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from small_detector import RATE, small_detector, small_model
from test_training_step import FORBIDDEN_TYPES, phase_of, primitives_and_types
from tiny import tiny

from ligo_cpc_snn.config.model_schema import Surrogate
from ligo_cpc_snn.config.runtime_schema import LifKernel, Precision, RecurrenceKernel
from ligo_cpc_snn.models import lif_pallas
from ligo_cpc_snn.models.detector import Detector
from ligo_cpc_snn.models.kernels import PLAIN, Kernels
from ligo_cpc_snn.models.lif import lif
from ligo_cpc_snn.models.products import product
from ligo_cpc_snn.models.recurrence import linear_recurrence
from ligo_cpc_snn.models.surrogate import build_surrogate
from ligo_cpc_snn.search.weights import read_detector, save_detector
from ligo_cpc_snn.wiring.search_progress import fingerprint

ROUNDED = Kernels(precision=Precision.bfloat16)
EXACT = {
    "pallas": Kernels(lif=LifKernel.pallas),
    "associative": Kernels(recurrence=RecurrenceKernel.associative),
    "unroll": Kernels(unroll=3),
}
ALL = Kernels(LifKernel.pallas, RecurrenceKernel.associative, 2, Precision.bfloat16)
# Lanes that are no whole block, frames that are no whole group: masks and the rest count.
BATCH, WIDTH, FRAMES = 3, 50, 2 * lif_pallas.AHEAD + 3


@pytest.fixture
def interpreted():
    """Run the GPU's kernel on the CPU, step by step."""
    with lif_pallas.interpreted():
        yield


def currents(width: int = WIDTH) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return currents, decays and first membranes."""
    one, two, three = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(one, (FRAMES, BATCH, width))
    return x, jax.random.uniform(two, (width,)), jax.random.normal(three, (BATCH, width))


def close(got, expected, tolerance: float, what: str = "") -> None:
    """Compare two trees, each leaf by its largest number."""
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True)
    for one, other in pairs:
        scale = max(float(np.abs(other).max()), 1e-3)
        np.testing.assert_allclose(one / scale, other / scale, atol=tolerance, err_msg=what)


@lru_cache
def run_lif(kernels: Kernels, surrogate: Surrogate = Surrogate.arctan):
    """Return spikes, membranes, last membrane, and the gradients of all inputs."""
    spike = build_surrogate(surrogate, 2.0)
    weights = jax.random.normal(jax.random.key(9), (FRAMES, BATCH, WIDTH))

    def loss(x, beta, start):
        out = lif(x, beta, start, 1.0, spike, kernels)
        return jnp.sum(out[0] * weights) + jnp.sum(out[2] ** 2), out

    (_, out), gradients = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(*currents())
    return out, gradients


@pytest.mark.parametrize(
    "kernels, surrogate",
    [*((kernels, Surrogate.arctan) for kernels in EXACT.values()),
     (EXACT["pallas"], Surrogate.boxcar)],
    ids=[*EXACT, "pallas, boxcar"],
)  # fmt: skip
def test_lif_spikes_are_equal_and_gradients_agree(kernels, surrogate, interpreted):
    (spikes, membranes, last), gradients = run_lif(kernels, surrogate)
    (expected, v, v_last), expected_gradients = run_lif(PLAIN, surrogate)
    assert 0.02 < expected.mean() < 0.8
    np.testing.assert_array_equal(spikes, expected)
    close((membranes, last), (v, v_last), 1e-6)
    close(gradients, expected_gradients, 1e-5)


def test_a_lif_of_another_threshold_would_be_seen(interpreted):
    """The test above can fail."""
    x, beta, start = currents()
    spike = build_surrogate(Surrogate.arctan, 2.0)
    one = lif(x, beta, start, 1.0, spike, EXACT["pallas"])
    other = lif(x, beta, start, 1.001, spike)
    assert np.any(one[0] != other[0])


@pytest.mark.parametrize(
    "kernels", [EXACT["associative"], ROUNDED], ids=["associative", "bfloat16"]
)
def test_a_detector_in_chunks_gives_what_the_whole_gives(kernels):
    network = detector(kernels)
    run = jax.jit(network)
    x, half = strain(), RATE // 4
    whole, last = run(x, network.initial_state(2))
    first, state = run(x[..., :half], network.initial_state(2))
    second, state = run(x[..., half:], state)
    # A product's sums may be taken in another order, and bfloat16 then round otherwise.
    tolerance = 1e-5 if kernels.precision is Precision.float32 else 2e-2
    logits = jnp.concatenate([first.frame_logits, second.frame_logits], 1)
    np.testing.assert_allclose(logits, whole.frame_logits, atol=tolerance)
    close(state, last, tolerance)


def detector(kernels: Kernels) -> Detector:
    """Return the same small detector, computed by `kernels`."""
    rngs = nnx.Rngs(1)
    return Detector(small_model(), detectors=2, sample_rate_hz=RATE, rngs=rngs, kernels=kernels)


def strain() -> jax.Array:
    return 2.0 * jax.random.normal(jax.random.key(4), (2, 2, RATE // 2))


def test_bfloat16_rounds_products_and_nothing_else():
    """Latents are near, and every output and state is float32."""
    run = nnx.jit(lambda network, x: network(x))
    one, other = (run(detector(kernels), strain()) for kernels in (ROUNDED, PLAIN))
    difference = np.abs(one[0].representation.latents - other[0].representation.latents)
    assert 0 < difference.max() < 0.05
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(one))


def test_a_product_in_bfloat16_is_within_its_tolerance():
    one, two = jax.random.split(jax.random.key(1))
    x, kernel = jax.random.normal(one, (5, 7, 300)), jax.random.normal(two, (300, 20))

    def value(x, kernel, precision):
        y = product(x, kernel, precision)
        return jnp.sum(y**2) / 2, y

    run = jax.value_and_grad(value, (0, 1), has_aux=True)
    (_, y), (g_x, g_kernel) = run(x, kernel, Precision.bfloat16)
    exact = x @ kernel
    bound = 2.0**-7
    assert np.all(np.abs(y - exact) <= bound * (jnp.abs(x) @ jnp.abs(kernel)))
    assert np.abs(y - exact).max() > 1e-4  # it was rounded
    assert np.all(np.abs(g_x - y @ kernel.T) <= bound * (jnp.abs(y) @ jnp.abs(kernel.T)))
    flat, g = x.reshape(-1, 300), y.reshape(-1, 20)
    assert np.all(np.abs(g_kernel - flat.T @ g) <= bound * (jnp.abs(flat.T) @ jnp.abs(g)))


def test_the_way_back_in_bfloat16_is_that_of_jax():
    """JAX's own derivative of the rounded product, whose gradients it rounds once more."""
    one, two, three = jax.random.split(jax.random.key(5), 3)
    x, kernel = jax.random.normal(one, (5, 7, 300)), jax.random.normal(two, (300, 20))
    g = jax.random.normal(three, (5, 7, 20))

    def rounded(x, kernel):
        factors = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
        return jnp.matmul(*factors, preferred_element_type=jnp.float32)

    y, back = jax.vjp(lambda x, kernel: product(x, kernel, Precision.bfloat16), x, kernel)
    expected, jax_back = jax.vjp(rounded, x, kernel)
    close(y, expected, 1e-6)
    close(back(g), jax_back(g), 2.0**-7)
    # Of factors that bfloat16 has, no digit is lost, neither there nor back.
    x, kernel, g = (jnp.round(4 * a) / 4 for a in (x, kernel, g))
    _, back = jax.vjp(lambda x, kernel: product(x, kernel, Precision.bfloat16), x, kernel)
    close(back(g), jax.vjp(jnp.matmul, x, kernel)[1](g), 1e-6)


def test_spikes_lose_nothing_in_bfloat16():
    spikes = (jax.random.uniform(jax.random.key(2), (6, 40)) < 0.3).astype(jnp.float32)
    kernel = jnp.round(8 * jax.random.normal(jax.random.key(3), (40, 5))) / 8
    np.testing.assert_array_equal(product(spikes, kernel, Precision.bfloat16), spikes @ kernel)


@pytest.mark.parametrize("kernels", [PLAIN, EXACT["associative"]])
def test_a_linear_recurrence_and_its_gradient_are_those_of_a_loop(kernels):
    x, beta, start = currents(4)
    decay = jax.nn.sigmoid(x[::-1]) * beta

    def loop(decay, drive, start):
        h, out = start, []
        for t in range(FRAMES):
            h = decay[t] * h + drive[t]
            out.append(h)
        return jnp.stack(out), h

    def gradients(run):
        def loss(*args):
            h, last = run(*args)
            return jnp.sum(jnp.sin(h)) + jnp.sum(last**3)

        return jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(decay, x, start)

    got = gradients(lambda *args: linear_recurrence(*args, kernels))
    close(got, gradients(loop), 1e-5)
    close(linear_recurrence(decay, x, start, kernels), loop(decay, x, start), 1e-6)


def test_no_kernel_has_a_complex_or_float64_number(interpreted):
    functions, state, banks = phase_of(tiny(), kernels=ALL)
    names, types = primitives_and_types(jax.make_jaxpr(functions.step)(state, banks).jaxpr)
    assert {"dot_general", "pallas_call"} <= names
    assert "bfloat16" in types
    assert not types & FORBIDDEN_TYPES


def test_training_in_bfloat16_keeps_its_state_in_float32():
    functions, state, banks = phase_of(tiny(), kernels=ROUNDED)
    after = jax.eval_shape(functions.step, state, banks)
    assert not any(x.dtype == jnp.bfloat16 for x in jax.tree.leaves(after))
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(after.params))


def test_the_kernel_is_a_triton_program_for_an_nvidia_gpu():
    """Lowered for CUDA without one: what Triton cannot say would raise here."""
    x, beta, start = currents()
    spike = build_surrogate(Surrogate.arctan, 2.0)
    forward = jax.jit(lambda x, b, v: lif_pallas.forward(x, b, v, 1.0, spike))
    back = jax.jit(lambda v, b, g, last: lif_pallas.backward(v, b, g, last, 1.0, spike))
    for run, args in ((forward, (x, beta, start)), (back, (x, beta, x, start))):
        text = run.trace(*args).lower(lowering_platforms=("cuda",)).as_text()
        assert text.count("triton") >= 1
        assert "while" not in text  # the loop over time is inside of the kernel


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="this machine has the GPU it asks for")
def test_without_a_gpu_pallas_is_refused_and_the_way_out_named():
    x, beta, start = currents()
    spike = build_surrogate(Surrogate.arctan, 2.0)
    with pytest.raises(
        lif_pallas.KernelError, match=r"runs on cpu; use runtime\.kernels\.lif=scan"
    ):
        lif(x, beta, start, 1.0, spike, EXACT["pallas"])


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="this machine has the GPU it plays")
def test_beside_a_gpu_a_cpu_computes_by_the_scan(monkeypatch):
    """One program, lowered for either: no Triton reaches the CPU, no scan the GPU."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    run_lif.cache_clear()  # it may hold what the interpreted kernel gave
    out, gradients = run_lif(EXACT["pallas"])
    expected, expected_gradients = run_lif(PLAIN)
    np.testing.assert_array_equal(out[0], expected[0])
    close((out, gradients), (expected, expected_gradients), 1e-6)
    spike = build_surrogate(Surrogate.arctan, 2.0)

    def loss(x, beta, start):
        return jnp.sum(lif(x, beta, start, 1.0, spike, EXACT["pallas"])[0])

    traced = jax.jit(jax.grad(loss)).trace(*currents())
    texts = {kind: traced.lower(lowering_platforms=(kind,)).as_text() for kind in ("cpu", "cuda")}
    assert ["triton" in texts[kind] for kind in texts] == [False, True]
    assert ["while" in texts[kind] for kind in texts] == [True, False]


@pytest.mark.gpu
@pytest.mark.skipif(jax.default_backend() != "gpu", reason="JAX has no GPU here")
@pytest.mark.parametrize("surrogate", Surrogate)
def test_the_kernel_on_a_gpu_gives_what_the_scan_gives(surrogate):
    """Spikes may differ only where a membrane is within rounding of its threshold."""
    (spikes, membranes, _), gradients = run_lif(EXACT["pallas"], surrogate)
    (expected, v, _), expected_gradients = run_lif(PLAIN, surrogate)
    assert np.all((spikes == expected) | (np.abs(v - 1.0) < 1e-5))
    close((membranes, gradients), (v, expected_gradients), 1e-5)


def test_kernels_are_no_part_of_a_detector(tmp_path):
    """The same file, the same fingerprint, the same parameters."""
    one = small_detector(params=nnx.to_pure_dict(nnx.state(detector(PLAIN))))
    other = replace(one, kernels=ROUNDED)
    assert fingerprint(one) == fingerprint(other)
    files = [save_detector(tmp_path / f"{i}.safetensors", d) for i, d in enumerate((one, other))]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert read_detector(files[1]).kernels == PLAIN
    assert other.network.kernels == ROUNDED
    fresh = [nnx.split(detector(k))[1] for k in (PLAIN, ROUNDED)]
    close(fresh[1], fresh[0], 0.0)
