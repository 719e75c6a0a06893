"""How the network computes: choices that change its speed, not its results.

`Kernels` travels from the wiring to every layer as a static attribute; parameters, states and
outputs are float32 under each choice, and streaming in chunks gives what the whole gives.

Agreement with the defaults, tested by `tests/test_kernels.py` and `tests/golden/`:

| choice | outputs | gradients |
|---|---|---|
| `lif=pallas` | equal spikes; membranes to 1e-6 | to 1e-5 of the largest |
| `recurrence=associative` | to 1e-5 | to 1e-5 of the largest |
| `unroll` | to 1e-6 | to 1e-5 of the largest |
| `precision=bfloat16` | a product to 2^-7 of its absolute sum | the same |

Equal spikes means equal but where a membrane lies within 1e-5 of its threshold: on another
device a fused multiply-add may round the other way. After products in bfloat16 spikes near the
threshold do differ, and units of `neuron=none` near zero open or shut: single gradients of such a
batch are others (by 97 % in `tests/golden/`, from 2 units of 640), not those of the product, which
agree with JAX's own. A run trains to another, equally good, network.

The table compares ways on one device, at one precision of its products. What float32 means there
is the device's: the program leaves `jax_default_matmul_precision` as JAX has it, with which an
NVIDIA GPU from Ampere on may multiply float32 in TF32 (11 significant bits of each factor, sums in
float32), so that its products are within 2^-10 of their absolute sum of a CPU's. With
JAX_DEFAULT_MATMUL_PRECISION=highest they are float32's own, more slowly; the golden tests set it.
"""

from typing import NamedTuple

from ligo_cpc_snn.config.runtime_schema import LifKernel, Precision, RecurrenceKernel


class Kernels(NamedTuple):
    """Ways of computing, none of them `auto`; the defaults are right on every device.

    Args:
        lif: how LIF neurons run over time; `pallas` needs an NVIDIA or AMD GPU.
        recurrence: how linear recurrences do: the context's, and the way back of `lif=scan`.
        unroll: frames per iteration of a scan.
        precision: of the factors of matrix products with weights; sums, states and parameters are
            float32, and so is what RLIF neurons of Spyx multiply by themselves.
    """

    lif: LifKernel = LifKernel.scan
    recurrence: RecurrenceKernel = RecurrenceKernel.scan
    unroll: int = 1
    precision: Precision = Precision.float32


PLAIN = Kernels()
