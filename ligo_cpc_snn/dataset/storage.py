"""Numbers of the banks on the device: float32, or half of its bytes.

Whitened noise and signals of unit SNR are numbers around 1, which halves hold well. Measured once
by rounding a bank of 512 signals (default population, 2048 Hz) and comparing it with itself:

| storage  | largest mismatch | largest error of the norm |
|----------|------------------|---------------------------|
| bfloat16 | 1.7e-6           | 4.4e-4                    |
| float16  | 2.5e-8           | 4.2e-5                    |

The SNR lost is the mismatch: a millionth of it. Batches are float32 in any case.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from ligo_cpc_snn.config.data_schema import Storage
from ligo_cpc_snn.dataset.banks import Banks, HostOrDevice, NoiseBank


def storage_type(storage: Storage) -> np.dtype:
    """Return the type of banked strain."""
    return np.dtype(jnp.dtype(storage.value))


def as_stored(strain: Shaped[HostOrDevice, "*n"], storage: Storage) -> Shaped[HostOrDevice, "*n"]:
    """Return strain in the type of `storage`; what has it already is not copied.

    Whitened glitches may be louder than float16 can tell, 65504: they are clipped there, where
    infinity would end the training.
    """
    dtype = storage_type(storage)
    if dtype != np.float16 or strain.dtype == dtype:
        return strain.astype(dtype, copy=False)
    largest = np.finfo(dtype).max
    with np.errstate(over="ignore"):
        half = np.asarray(strain).astype(dtype)
    return np.clip(half, -largest, largest, out=half)


def stored(banks: Banks, storage: Storage) -> Banks:
    """Return banks whose strain has the type of `storage`; what has it already is not copied."""
    glitches = banks.glitches
    return Banks(
        stored_noise(banks.noise, storage),
        banks.signals._replace(strain=as_stored(banks.signals.strain, storage)),
        glitches._replace(strain=as_stored(glitches.strain, storage)),
        banks.transients,
    )


def stored_noise(bank: NoiseBank, storage: Storage) -> NoiseBank:
    """Return a noise bank whose strain has the type of `storage`."""
    return bank._replace(strain=as_stored(bank.strain, storage))
