"""Numbers of the banks on the device: float32, or half of its bytes.

Whitened noise and signals of unit SNR are numbers around 1, which halves hold well. Of 512
signals at 2048 Hz (default population), rounded and compared with themselves in float32:

| storage  | largest mismatch | largest error of the norm |
|----------|------------------|---------------------------|
| bfloat16 | 1.7e-6           | 4.4e-4                    |
| float16  | 2.5e-8           | 4.2e-5                    |

The SNR lost is the mismatch: a millionth of it. Batches are float32 in any case.
"""

import jax.numpy as jnp
import numpy as np

from ligo_cpc_snn.config.data_schema import Storage
from ligo_cpc_snn.dataset.banks import Banks, NoiseBank


def storage_type(storage: Storage) -> np.dtype:
    """Return the type of banked strain."""
    return np.dtype(jnp.dtype(storage.value))


def stored(banks: Banks, storage: Storage) -> Banks:
    """Return banks whose strain has the type of `storage`; what has it already is not copied."""
    dtype, glitches = storage_type(storage), banks.glitches
    return Banks(
        stored_noise(banks.noise, storage),
        banks.signals._replace(strain=banks.signals.strain.astype(dtype, copy=False)),
        glitches._replace(strain=glitches.strain.astype(dtype, copy=False)),
        banks.transients,
    )


def stored_noise(bank: NoiseBank, storage: Storage) -> NoiseBank:
    """Return a noise bank whose strain has the type of `storage`."""
    return bank._replace(strain=bank.strain.astype(storage_type(storage), copy=False))
