"""Export, its check and energies, of detectors by the names that a user gives."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.config.search_schema import SearchConfig, StrainInput
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.evaluation.energy import Arithmetic, Energy, energy
from ligo_cpc_snn.evaluation.synops import synaptic_operations
from ligo_cpc_snn.exporting import description as names
from ligo_cpc_snn.exporting.checking import check_folder
from ligo_cpc_snn.exporting.description import read_description
from ligo_cpc_snn.exporting.folder import export_folder
from ligo_cpc_snn.exporting.quantisation import Part, Weights
from ligo_cpc_snn.exporting.report import energy_table, lines
from ligo_cpc_snn.exporting.simulate import versions
from ligo_cpc_snn.search.inputs import opened
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.weights import load_detector, read_detector
from ligo_cpc_snn.search.whitened import whiten_coincident
from ligo_cpc_snn.strain.replacing import write_whole
from ligo_cpc_snn.wiring.search import wanted_of


def export(name: str, folder: Path, weights: Weights, part: Part) -> int:
    """Export a detector and say what was written; returns the exit code, 0."""
    found = export_folder(folder, load_detector(name), weights, part)
    kinds = ", ".join(f"{layer.width} {layer.neuron}" for layer in found.snn.layers)
    print(f"{found.name}: {found.snn.channels} channels, {kinds}, weights {found.weights}")
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        print(f"  {file}  {file.stat().st_size} bytes")
    if not found.snn.compact:
        print(f"  no {names.COMPACT}: {found.snn.compact_why_not}")
    return 0


def check(
    folder: Path, files: Sequence[str], seconds: float, cache_dir: Path, *, independent: bool
) -> int:
    """Check an exported folder and say what was found.

    Returns:
        The exit code: 0 where all agrees but for rounding, else 1.
    """
    read_description(folder)
    detector = read_detector(folder / names.DETECTOR)
    strain, source = strain_for(detector, files, seconds, cache_dir)
    found = check_folder(folder, strain, independent=independent)
    told = found.to_dict() | {"strain": source, "versions": versions() if independent else {}}
    write_whole(folder / names.CHECK, json.dumps(told, indent=2, allow_nan=False).encode())
    print("\n".join(lines(found, source)))
    return 0 if found.good else 1


def strain_for(
    detector: TrainedDetector, files: Sequence[str], seconds: float, cache_dir: Path
) -> tuple[Float[np.ndarray, "detector time"], str]:
    """Return whitened strain of files, the first stretch of it, or white noise; and what it is.

    Raises:
        UserError: a file cannot be read, or does not suit the detector.
    """
    samples = round(seconds * detector.sample_rate_hz)
    if not files:
        noise = np.random.default_rng(0).normal(size=(len(detector.detectors), samples))
        return noise.astype(np.float32), f"white noise, {seconds:g} s, no real strain (--strain)"
    cfg = SearchConfig(strain=StrainInput(files=list(files)))
    with opened(cfg.strain, wanted_of(cfg, detector), cache_dir) as plan:
        for stretch in plan.stretches:
            for segment in plan.coincident(stretch)[0]:
                whitened = whiten_coincident(segment, detector, cfg.psd_seconds)
                strain = whitened.strain[:, :samples]
                length = strain.shape[-1] / detector.sample_rate_hz
                return strain, f"{plan.source}, {length:g} s from GPS {whitened.gps_start:.3f}"
    raise UserError(f"{', '.join(files)}: no stretch long enough to be whitened, give longer files")


def energies(
    detectors: Sequence[str], files: Sequence[str], seconds: float, cache_dir: Path
) -> int:
    """Print what detectors cost per second of strain; returns the exit code, 0."""
    rows: dict[str, tuple[Energy, dict[str, Any]]] = {}
    source = ""
    for name in detectors:
        detector = load_detector(name)
        strain, source = strain_for(detector, files, seconds, cache_dir)
        rows |= costs(name, detector, strain)
    print(energy_table(rows, source))
    return 0


def costs(
    name: str, detector: TrainedDetector, strain: Float[np.ndarray, "detector time"]
) -> dict[str, tuple[Energy, dict[str, Any]]]:
    """Return energies in float32 and with integers, by a row's name, and what was counted."""
    frames = strain.shape[-1] // detector.frame_samples
    given = jnp.asarray(strain[None, :, : frames * detector.frame_samples])
    network = replace(detector).network
    found = jax.device_get(jax.jit(lambda x: network(x)[0])(given))
    rate = detector.sample_rate_hz
    operations = synaptic_operations(network, found, sample_rate_hz=rate)
    told = operations.to_dict()
    spiking = operations.accumulates > 0
    rows = {f"{name}, float32": (energy(network, operations, sample_rate_hz=rate), told)}
    whole = energy(
        network, operations, sample_rate_hz=rate, front=Arithmetic.int8, head=Arithmetic.int8
    )
    if spiking:
        head = energy(network, operations, sample_rate_hz=rate, head=Arithmetic.int8)
        rows[f"{name}, int8 products in the spiking part"] = (head, told)
    rows[f"{name}, int8 products everywhere"] = (whole, told)
    return rows
