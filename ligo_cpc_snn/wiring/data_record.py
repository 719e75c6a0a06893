"""What a run records of its data, for the report: `data.npz`."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from ligo_cpc_snn.config.data_schema import Source
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.dataset.banks import no_transients
from ligo_cpc_snn.dataset.glitches import FoundTransients, gallery, scan_noise
from ligo_cpc_snn.dataset.loudness import snr_fractions
from ligo_cpc_snn.dataset.sampling import signal_layout
from ligo_cpc_snn.rng import stream
from ligo_cpc_snn.signals.population import describe
from ligo_cpc_snn.signals.whitened import CHUNK, whitened_signals
from ligo_cpc_snn.wiring.data import Data

SOURCES = 512


def write_data_record(run_dir: Path, cfg: Config, data: Data) -> None:
    """Write data.npz: densities, sources, glitches, rejected stretches."""
    arrays: dict[str, Any] = {}
    for record in (data.noise.psds, data.noise.quality):
        if record is not None:
            arrays |= record.arrays()
    arrays |= gallery(jax.device_get(data.supply.banks.glitches), _transients(cfg, data), cfg.data)
    arrays |= {f"population_{name}": v for name, v in _sources(cfg, data).items()}
    np.savez(run_dir / "data.npz", **arrays)


def _transients(cfg: Config, data: Data) -> FoundTransients:
    """Scan the noise now on the device for transients; simulated noise has none."""
    if cfg.data.source is Source.synthetic:
        return FoundTransients(no_transients(), np.zeros(0), np.zeros(0))
    noise = jax.device_get(data.supply.banks.noise)
    return scan_noise(noise._replace(strain=noise.strain.astype(np.float32)), cfg.data)


def _sources(cfg: Config, data: Data) -> dict[str, np.ndarray]:
    """Return sources of the population, with the SNRs they have in the first noise's PSD.

    They are made as the banks' signals are, so that no waveform is compiled for them.
    """
    layout, key = signal_layout(cfg.data), stream(cfg.seed, "sources of the report")
    chunks = []
    for chunk in range(SOURCES // CHUNK):
        _, drawn = whitened_signals(
            jax.random.fold_in(key, chunk),
            cfg.data.signals,
            count=CHUNK,
            detectors=cfg.data.detectors,
            filters=data.noise.training[0].filters,
            sample_rate_hz=cfg.data.sample_rate_hz,
            samples_before=layout.before,
            samples_after=layout.after,
        )
        chunks.append(describe(drawn, cfg.data.signals.approximant))
    shown = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    banked = data.supply.banks.signals.strain[:SOURCES]
    return shown | {"in_bank_snr_fraction": snr_fractions(banked)}
