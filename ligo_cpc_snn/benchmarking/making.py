"""The making of training data: signals and noise, whitened, as banks are filled with."""

from functools import partial

import jax
import numpy as np

from ligo_cpc_snn.benchmarking.own_data import make_filters
from ligo_cpc_snn.benchmarking.scales import Size
from ligo_cpc_snn.benchmarking.work import Work
from ligo_cpc_snn.conditioning.whitening import whiten
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.dataset.sampling import signal_layout
from ligo_cpc_snn.signals.whitened import whitened_signals
from ligo_cpc_snn.strain.curves import aligo_curve
from ligo_cpc_snn.strain.noise import coloured_noise

NOISE_SECONDS = 64.0


def data_work(cfg: Config, size: Size) -> dict[str, Work]:
    """Return signals of the config's population, and noise of one detector with its whitening."""
    data, seeds = cfg.data, iter(range(10**9))
    filters = make_filters(data)
    layout = signal_layout(data)
    key = partial(jax.random.fold_in, jax.random.key(cfg.seed))

    def signals() -> object:
        return whitened_signals(
            key(next(seeds)), data.signals, count=size.signals, detectors=tuple(data.detectors),
            filters=filters, sample_rate_hz=data.sample_rate_hz,
            samples_before=layout.before, samples_after=layout.after,
        )  # fmt: skip

    curve, samples = (
        aligo_curve(data.sample_rate_hz / 2),
        round(NOISE_SECONDS * data.sample_rate_hz),
    )

    def noise() -> object:
        strain = coloured_noise(
            np.random.default_rng(next(seeds)), curve, samples=samples,
            sample_rate_hz=data.sample_rate_hz,
        )  # fmt: skip
        return whiten(strain, filters[0])

    return {
        "signals made": Work(signals, size.signals, "signals"),
        "noise made": Work(noise, NOISE_SECONDS, "s of strain"),
    }
