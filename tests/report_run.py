"""A run folder with realistic files, made without training, for the tests of the report."""

import json
from pathlib import Path

import numpy as np

from ligo_cpc_snn.evaluation.efficiency import detection_metrics
from ligo_cpc_snn.evaluation.spikes import spike_statistics

SNRS = [4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0]
RATE, FRAMES = 2048, 128
PHASES = (("pretrain", 200), ("probe", 100), ("finetune", 1000))


def _history(rng: np.random.Generator) -> list[dict]:
    rows, end = [], 0
    for phase, steps in PHASES:
        for step in range(end + 25, end + steps + 1, 25):
            progress, wobble = step / 1300, rng.normal(1, 0.06)
            row = {"step": step, "phase": phase, "split": "train", "time": 1.7e9 + step * 0.2}
            row["loss/infonce"] = (0.4 + 3.0 * np.exp(-step / 120)) * wobble
            row["infonce/accuracy"] = 0.85 - 0.8 * np.exp(-step / 150)
            row["infonce/spread"] = 0.4 + 0.5 * (1 - np.exp(-step / 90)) + 0.02 * wobble
            row["spike_rate/bridge"] = 0.03 + 0.09 * (1 - np.exp(-step / 200)) * wobble
            row["spike_rate/snn_0"], row["spike_rate/snn_1"] = 0.08 * wobble, 0.11 * wobble
            row["loss/detection"] = (0.05 + 0.65 * np.exp(-max(step - 500, 0) / 200)) * wobble
            row["loss/total"] = 0.1 * row["loss/infonce"] + row["loss/detection"]
            for part, size in (
                ("encoder", 5),
                ("context", 3),
                ("bridge", 1),
                ("snn", 4),
                ("total", 12),
            ):
                norm = size * np.exp(-step / 300) * rng.normal(1, 0.06) + size / 40
                row[f"gradient_norm/{part}"] = norm
            row["data/snr"] = float(np.clip(27 - step / 60, 14, 25))
            row["learning_rate"] = 1e-3 * min(step / 50, 0.5 * (1 + np.cos(np.pi * progress)))
            row["examples_per_second"], row["peak_memory_gb"] = 310 * wobble, 1.4 + 1e-4 * step
            if phase == "pretrain":
                row["loss/total"] = row["loss/infonce"]
                for name in [n for n in row if n == "loss/detection" or n.startswith("spike_rate")]:
                    del row[name]
            rows.append(row)
            if step % 200 == 0 or step == end + steps:
                auc = 0.5 + 0.48 / (1 + np.exp(-(step - 650) / 90))
                rows.append(
                    {**{k: row[k] * 1.05 for k in ("loss/detection", "loss/infonce") if k in row},
                     **{k: row[k] for k in ("step", "phase", "time")},
                     "split": "validation", "auc": auc, "score": auc, "accuracy": auc - 0.04}
                )  # fmt: skip
        end += steps
    return rows


def _chirp(time: np.ndarray, merger: float) -> np.ndarray:
    before = np.clip(merger - time, 1e-4, None)
    phase = -2 * np.pi * 25 * before ** (5 / 8) * 1.6 * 4
    ring = np.exp(-np.clip(time - merger, 0, None) / 0.004) * (time >= merger)
    return np.where(time < merger, before ** (-1 / 4) * np.cos(phase), 3.5 * ring)


def _traces(rng: np.random.Generator) -> dict[str, np.ndarray]:
    traces: dict = {"sample_rate_hz": RATE, "frame_rate_hz": FRAMES}
    time, frames = np.arange(RATE) / RATE, np.arange(FRAMES) / FRAMES
    for case, strength in (("loud", 0.9), ("quiet", 0.35), ("noise", 0.0)):
        burst = strength * np.exp(-(((frames - 0.78) / 0.04) ** 2))
        chirp = strength * np.stack([_chirp(time, 0.80), -0.8 * _chirp(time, 0.807)])
        traces[f"{case}_strain"] = rng.normal(0, 0.95, (2, RATE)) + chirp
        latents = rng.normal(size=(FRAMES, 128)) + 6 * burst[:, None] * rng.normal(size=128)
        traces[f"{case}_latents"] = latents
        traces[f"{case}_bridge_spikes"] = rng.random((FRAMES, 256)) < 0.06 + 0.4 * burst[:, None]
        for layer in (0, 1):
            chance = 0.08 + 0.5 * burst[:, None] * (rng.random(128) > 0.5)
            traces[f"{case}_layer{layer}_spikes"] = rng.random((FRAMES, 128)) < chance
            walk = np.cumsum(rng.normal(0, 0.2, (FRAMES, 128)), 0) * 0.4
            traces[f"{case}_layer{layer}_membrane"] = walk - 4 * burst[:, None]
        traces[f"{case}_frame_logits"] = -4 + 14 * burst + rng.normal(0, 0.3, FRAMES)
        if case != "noise":
            traces[f"{case}_snr"] = {"loud": 20.0, "quiet": 8.0}[case]
            traces[f"{case}_merger_seconds"] = 0.80
    return traces


def _event(rng: np.random.Generator) -> dict[str, np.ndarray]:
    gps = 1126259446.0 + np.arange(32 * FRAMES) / FRAMES
    bump = 11 * np.exp(-(((gps - 1126259462.45) / 0.03) ** 2))
    start, samples = 1126259460.42, 4 * RATE
    time = start + np.arange(samples) / RATE - 1126259462.42
    chirps = np.stack([_chirp(time, 0.0), -_chirp(time, -0.007)])
    return {
        "gps": gps, "statistic": rng.normal(-4, 0.9, gps.size) + bump, "event_gps": 1126259462.42,
        "event_name": np.array("GW150914"), "threshold": np.array(2.5),
        "background_zero_lag": rng.gumbel(-2, 0.7, 640),
        "background_zero_lag_seconds": np.array(640.0),
        "background_slides": rng.gumbel(-2, 0.7, 12000),
        "background_slides_seconds": np.array(12000.0),
        "whitened": rng.normal(0, 0.9, (2, samples)) + chirps, "whitened_gps_start": start,
        "sample_rate_hz": RATE, "detectors": np.array(["H1", "L1"]),
    }  # fmt: skip


def write_run(folder: Path) -> Path:
    """Write every file that the report reads into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    noise = rng.normal(-4, 1.1, 16384)
    signals = rng.normal(-4, 1.1, (7, 1024)) + np.maximum(np.array(SNRS) - 5.0, 0)[:, None] * 0.95
    measured = detection_metrics(noise, signals, SNRS, [1e-1, 1e-2, 1e-3])
    traces = _traces(rng)
    spikes = {
        name: spike_statistics(traces[f"quiet_{trace}_spikes"], frame_rate_hz=FRAMES).to_dict()
        for name, trace in (("bridge", "bridge"), ("snn_0", "layer0"), ("snn_1", "layer1"))
    }
    metrics = {
        "detection": measured.to_dict(), "spikes": spikes,
        "run": {"status": "finished", "steps": 1300, "parameters": 158_231, "seconds": 251.3,
                "peak_memory_bytes": 1.53e9, "compile_seconds": 21.4,
                "command": "python -m ligo_cpc_snn.train +experiment=gw150914"},
        "machine": {"platform": "cpu", "device": "x86_64, 2 cores", "memory_bytes": 8 * 2**30,
                    "system": "Linux 6.1"},
        "versions": {"python": "3.11.7", "jax": "0.10.2", "flax": "0.12.8", "spyx": "1.0"},
        "warnings": [],
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(metrics))
    lines = [json.dumps(row) for row in _history(rng)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "config.yaml").write_text(
        "name: gw150914\nseed: 0\ndata:\n  source: real\n  detectors: [H1, L1]\n"
        "  sample_rate_hz: 2048\n  window_seconds: 1.0\nevent:\n  name: GW150914\n"
        "  tolerance_seconds: 0.1\n"
    )
    np.savez(folder / "evaluation.npz", noise_scores=noise, signal_scores=signals, snrs=SNRS)
    np.savez(folder / "traces.npz", **traces)
    np.savez(folder / "event.npz", **_event(rng))
    return folder
