"""The stages that make data: whitening, projection, banked signals, composition of a batch."""

from itertools import pairwise
from typing import Any

import jax
import numpy as np

from ligo_cpc_snn.conditioning.psd import median_welch_asd
from ligo_cpc_snn.conditioning.whitening import design_filter, whiten
from ligo_cpc_snn.config.signals_schema import PopulationConfig, PriorConfig, SignalsConfig
from ligo_cpc_snn.dataset.banks import (
    Banks,
    GlitchBank,
    HardCrops,
    SignalBank,
    Stretch,
    Transients,
    build_noise_bank,
)
from ligo_cpc_snn.dataset.negatives import Shares
from ligo_cpc_snn.dataset.sampling import Sampler
from ligo_cpc_snn.signals.projection import project
from ligo_cpc_snn.signals.whitened import whitened_signals

RATE, BAND = 256, (20.0, 100.0)
DETECTORS = ("H1", "L1", "V1")
GPS = 1126259462.4  # s, GW150914
WINDOW, BATCH, SIGNALS = 64, 12, 5
COMPOSITIONS = {
    "plain": Shares(),
    "negatives": Shares(decoy=0.25, synthetic=0.25, real=0.25, hard=0.25),
}


def whitening(inputs: dict[str, np.ndarray], pieces: int = 1) -> dict[str, Any]:
    """Return the measured density, the filter and whitened strain, whitened in pieces."""
    strain = inputs["strain"] * 1e-21
    frequencies, asd = median_welch_asd(strain, RATE, 1.0)
    filtered = design_filter(frequencies, asd, RATE, 0.5, BAND)
    # A piece reaches over both its ends by half a filter.
    edges = np.linspace(0, strain.size - 2 * filtered.crop, pieces + 1).astype(int)
    whitened = [whiten(strain[a : b + 2 * filtered.crop], filtered) for a, b in pairwise(edges)]
    return {
        "asd": asd * 1e21,
        "taps": filtered.taps * 1e-21,
        "whitened": np.concatenate(whitened),
    }


def projection(turning: bool, inputs: dict[str, np.ndarray], pieces: int = 1) -> dict[str, Any]:
    """Return each detector's strain, the frequencies taken in pieces."""
    sky = {name: inputs[name] for name in ("right_ascension", "declination", "polarization")}
    parts = np.array_split(np.arange(inputs["frequencies"].size), pieces)
    found = [
        project(
            inputs["plus"][:, part],
            inputs["cross"][:, part],
            sky,
            inputs["frequencies"][part],
            DETECTORS,
            GPS,
            times=inputs["times"][:, part] if turning else None,
        )
        for part in parts
    ]
    return {"strain": np.concatenate([np.asarray(x) for x in found], axis=-1)}


def signals(inputs: dict[str, np.ndarray], count: int = SIGNALS) -> dict[str, Any]:
    """Return whitened signals of unit network SNR and what they are of."""
    heavy = PriorConfig(low=30.0, high=50.0)
    cfg = SignalsConfig(population=PopulationConfig(mass_1=heavy, mass_2=heavy), duration_seconds=4)
    filters = [
        design_filter(inputs["frequencies"], asd * 1e-21, RATE, 0.5, BAND) for asd in inputs["asd"]
    ]
    strain, parameters = whitened_signals(
        jax.random.key(7),
        cfg,
        count=count,
        detectors=DETECTORS[:2],
        filters=filters,
        sample_rate_hz=RATE,
        samples_before=96,
        samples_after=32,
    )
    kept = ("mass_1", "distance", "declination", "optimal_snr", "network_snr")
    return {"strain": strain, **{name: parameters[name] for name in kept}}


def banks(inputs: dict[str, np.ndarray]) -> Banks:
    """Return banks of two PSDs, everything in them."""
    rows = inputs["noise"]
    noise = build_noise_bank(
        [[Stretch(row[:300], 0), Stretch(row[300:500], 1), Stretch(row[500:], 0)] for row in rows],
        WINDOW,
    )
    numbers = np.arange(SIGNALS, dtype=np.int32) % 2
    psd = np.stack([numbers, numbers[::-1]], axis=1)
    snr = np.linspace(5, 25, SIGNALS, dtype=np.float32)
    glitched = np.array([0, 1, 1], np.int32)
    transients = Transients(
        np.array([0, 1], np.int32), np.array([20, 330], np.int32), np.array([60, 360], np.int32)
    )
    return Banks(
        noise,
        SignalBank(inputs["signals"], psd, snr),
        GlitchBank(inputs["glitches"], glitched, glitched[::-1].copy()),
        transients,
    )


def composition(
    shares: Shares, inputs: dict[str, np.ndarray], compiled: bool = True
) -> dict[str, Any]:
    """Return three batches: two that draw their signals, one that takes them in turn."""
    made = jax.device_put(banks(inputs))
    hard = HardCrops(np.array([[5, 7], [100, 350]], np.int32), np.asarray(2, np.int32))
    sample = Sampler(BATCH, WINDOW, 80, 40, 60, 0.5, shares)
    draw = jax.jit(sample) if compiled else sample
    keys = [jax.random.key(seed) for seed in (1, 2, 3)]
    drawn = [
        draw(made, key, 5.0, 9.0, jax.device_put(hard), None if i < 2 else jax.numpy.int32(4))
        for i, key in enumerate(keys)
    ]
    return {i: batch._asdict() for i, batch in enumerate(drawn)}


def draw_inputs(stage: str) -> dict[str, np.ndarray]:
    """Return strain, polarizations, densities, or what banks are made of."""
    rng = np.random.RandomState(20150914)
    if stage == "whitening":
        white = rng.standard_normal(6 * RATE)
        times = np.arange(white.size) / RATE
        red = white + 0.9 * np.concatenate([[0.0], white[:-1]])
        return {"strain": (red + 2 * np.sin(2 * np.pi * 60 * times)).astype(np.float32)}
    if stage == "projection":
        plus, cross = rng.standard_normal((2, 2, 40)) + 1j * rng.standard_normal((2, 2, 40))
        return {
            "plus": plus,
            "cross": cross,
            "frequencies": np.linspace(20.0, 400.0, 40),
            "times": np.sort(rng.uniform(-20, 0, (2, 40))),
            "right_ascension": np.array([3.44, 0.2]),
            "declination": np.array([-0.41, 1.1]),
            "polarization": np.array([0.3, 2.0]),
        }
    if stage == "signals":
        frequencies = np.linspace(1.0, RATE / 2, 128)
        bent = 0.01 * (1 + (40 / frequencies) ** 2)
        return {"frequencies": frequencies, "asd": np.stack([bent, 1.5 * bent])}
    window = np.hanning(2 * WINDOW)
    drawn = {
        "noise": rng.standard_normal((2, 700)),
        "signals": 0.1 * rng.standard_normal((SIGNALS, 2, 128)),
        "glitches": 0.2 * window * rng.standard_normal((3, 2 * WINDOW)),
    }
    return {name: value.astype(np.float32) for name, value in drawn.items()}
