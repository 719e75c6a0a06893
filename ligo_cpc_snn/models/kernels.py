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
threshold do differ; a run trains to another, equally good, network.
"""

from typing import NamedTuple

from ligo_cpc_snn.config.runtime_schema import LifKernel, Precision, RecurrenceKernel


class Kernels(NamedTuple):
    """Ways of computing, none of them `auto`; the defaults are right on every device.

    Args:
        lif: how LIF neurons run over time; `pallas` needs an NVIDIA or AMD GPU.
        recurrence: how linear recurrences do: the context's, and the way back of `lif=scan`.
        unroll: frames per iteration of a scan.
        precision: of the factors of matrix products; sums, states and parameters are float32.
    """

    lif: LifKernel = LifKernel.scan
    recurrence: RecurrenceKernel = RecurrenceKernel.scan
    unroll: int = 1
    precision: Precision = Precision.float32


PLAIN = Kernels()
