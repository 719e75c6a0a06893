"""A run so small that it trains in seconds, for the tests of the whole."""

from pathlib import Path

from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.schema import Config

TINY = [
    "data.sample_rate_hz=512",
    "data.window_seconds=0.5",
    "data.psd_segment_seconds=2",
    "data.filter_seconds=1",
    "data.highpass_hz=30",
    "data.signals.bank_size=64",
    "data.signals.validation_bank_size=64",
    "data.signals.duration_seconds=4",
    "data.signals.population.mass_1.low=25",
    "data.signals.population.mass_2.low=25",
    "data.synthetic.seconds=16",
    "data.synthetic.validation_seconds=16",
    "model.encoder.features=8",
    "model.encoder.patch=16",
    "model.encoder.stride=8",
    "model.context.dilations=[1]",
    "model.context.features=8",
    "model.snn.widths=[8]",
    "training.batch_size=4",
    "training.infonce.steps=2",
    "training.infonce.anchors=4",
    "training.pretrain.steps=4",
    "training.probe.steps=4",
    "training.finetune.steps=8",
    "training.log_every=4",
    "training.evaluate_every=8",
    "training.evaluate_windows=16",
    "training.checkpoint.every_steps=4",
    "evaluation.windows=128",
    "evaluation.signal_windows=32",
    "evaluation.batch_size=32",
    "evaluation.snrs=[10.0,30.0]",
    "evaluation.false_positive_rates=[0.1]",
]


def tiny(*overrides: str, run_dir: Path | None = None) -> Config:
    """Return the tiny config with overrides."""
    folder = [] if run_dir is None else [f"run_dir={run_dir}"]
    return load([*TINY, *folder, *overrides])
