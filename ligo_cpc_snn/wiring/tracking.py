"""What a tracker is told at the two ends of a run: the banks it uses, and its results.

Banks are gigabytes that the config and the seed make again, so what stands for them is a
record with digests: runs over the same banks share it, which is how W&B draws the lineage
from banks to detectors.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ligo_cpc_snn.config.save import plain
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.config.sweep_objective import objective_of
from ligo_cpc_snn.dataset.banks import Banks
from ligo_cpc_snn.search.weights import FILE
from ligo_cpc_snn.strain.replacing import write_whole
from ligo_cpc_snn.training.trackers import Trackers
from ligo_cpc_snn.wiring.data import Data
from ligo_cpc_snn.wiring.export import without_folders

BANK_RECORD = "bank.json"
# How the same strain is got and where it is kept decides nothing of what is in the banks.
_NOT_THE_BANKS = ("strain_dir", "gwosc")


def tell_banks(
    trackers: Trackers, cfg: Config, data: Data, validation: Banks, run_dir: Path
) -> None:
    """Write the record of a run's banks and give it to the trackers as what the run uses.

    Args:
        data: training banks and noise.
        validation: banks of this process.
        run_dir: the record becomes its `bank.json`.
    """
    if not trackers.trackers:
        return
    record = bank_record(cfg, data, validation)
    path = run_dir / BANK_RECORD
    write_whole(path, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    trackers.uses(f"bank-{record['sha256'][:12]}", "bank", path)


def bank_record(cfg: Config, data: Data, validation: Banks) -> dict[str, Any]:
    """Return what banks were made from, and the SHA-256 of that and of the validation banks."""
    settings = {k: v for k, v in plain(cfg.data).items() if k not in _NOT_THE_BANKS}
    record = {
        "seed": cfg.seed,
        "data": without_folders(settings),
        "seconds": {
            "training": sum(block.seconds for block in data.noise.training),
            "validation": sum(block.seconds for block in data.noise.validation),
        },
        "training_arrays": _shapes(data.supply.banks),
        "validation_arrays": _shapes(validation),
        "validation_sha256": _digest(validation),
    }
    whole = json.dumps(record, sort_keys=True).encode()
    return record | {"sha256": hashlib.sha256(whole).hexdigest()}


def _shapes(banks: Any) -> dict[str, str]:
    leaves, _ = jax.tree.flatten_with_path(banks)
    return {jax.tree_util.keystr(path): f"{x.dtype}{list(x.shape)}" for path, x in leaves}


def _digest(banks: Any) -> str:
    digest = hashlib.sha256()
    for array in jax.tree.leaves(banks):  # one at a time: they may be most of the memory
        digest.update(np.ascontiguousarray(jax.device_get(array)).tobytes())
    return digest.hexdigest()


def tell_results(
    trackers: Trackers, cfg: Config, metrics: Mapping[str, Any], run_dir: Path, page: Path
) -> None:
    """Give the trackers tables, summary, figures and artifacts of a run that has ended.

    Args:
        metrics: as metrics.json holds them; the file is written.
        run_dir: with figures, detector and checkpoints.
        page: the report.
    """
    step = metrics["run"]["steps"]
    for name, (columns, rows) in tables(metrics).items():
        trackers.table(step, name, columns, rows)
    numbers = summary(metrics) | {"sensitivity/found": objective_of(run_dir)}
    trackers.summary(numbers)
    for path in sorted((run_dir / "figures").glob("*.png")):
        trackers.figure(step, path.stem, path)
    trackers.artifact(f"{cfg.name}-detector", "model", run_dir / FILE, numbers)
    trackers.artifact(f"{cfg.name}-checkpoints", "checkpoint", run_dir / "checkpoints")
    trackers.artifact(f"{cfg.name}-report", "report", page)


def tables(metrics: Mapping[str, Any]) -> dict[str, tuple[list[str], list[list[Any]]]]:
    """Return the tables of a run's metrics by the name of their panel: columns and rows."""
    found = metrics["detection"]
    efficiency = [
        [curve["threshold"]["nominal_rate"], snr, rate["value"], rate["low"], rate["high"]]
        for curve in found["efficiency"]
        for snr, rate in zip(found["snrs"], curve["rates"], strict=True)
    ]
    areas = [
        [snr, area["value"], area["low"], area["high"]]
        for snr, area in zip(found["snrs"], found["auc"], strict=True)
    ]
    numbers = ["rate", "rate_hz", "silent_fraction", "saturated_fraction", "neurons"]
    spikes = [[layer, *(x[n] for n in numbers)] for layer, x in metrics["spikes"].items()]
    return {
        "sensitivity/efficiency": (
            ["false_positive_rate", "snr", "found", "low", "high"],
            efficiency,
        ),
        "sensitivity/auc_by_snr": (["snr", "auc", "low", "high"], areas),
        "spikes/layers": (["layer", *numbers], spikes),
    }


def summary(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a run that one compares runs by."""
    found = metrics["detection"]
    numbers = {
        f"sensitivity/snr_50_at_{curve['threshold']['nominal_rate']:g}": curve["snr_50"]
        for curve in found["efficiency"]
        if curve["snr_50"] is not None
    }
    numbers |= {f"spikes/rate_hz_{name}": x["rate_hz"] for name, x in metrics["spikes"].items()}
    numbers["sensitivity/mean_auc"] = float(np.mean([area["value"] for area in found["auc"]]))
    numbers["throughput/seconds"] = metrics["run"]["seconds"]
    numbers["model/parameters"] = metrics["parameters"]
    operations = metrics["operations"]
    return numbers | {
        f"operations/{k}_per_second": operations[k]
        for k in ("accumulates", "multiply_accumulates", "dense")
    }
