"""Every wrong setting is one line that names key, value, expectation and remedy."""

import pytest

from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.errors import ConfigError

WRONG_KEYS = {
    "data.windw_seconds=2": "data.window_seconds",
    "+data.windw_seconds=2": "data.window_seconds",
    "++data.windw_seconds=2": "data.window_seconds",
    "window_seconds=2": "data.window_seconds",
    "data.bank_size=5": "data.signals.bank_size",
    "data={window_secs: 2}": "data.window_seconds",
    "experimnt=x": "experiment",
    "+experimnt=x": "experiment",
    "data.signals.population.mas_1.low=3": "data.signals.population.mass_1.low",
}


@pytest.mark.parametrize("override, meant", WRONG_KEYS.items())
def test_unknown_key_names_the_one_that_was_meant(override: str, meant: str) -> None:
    with pytest.raises(ConfigError, match="unknown key") as error:
        load([override])
    assert str(error.value).endswith(f"did you mean {meant}?")
    assert "\n" not in str(error.value)


WRONG_VALUES = {
    "data.sample_rate_hz=fast": "data.sample_rate_hz=fast: expected a whole number",
    "data.sample_rate_hz=1.5": "data.sample_rate_hz=1.5: expected a whole number",
    "seed=": "seed=: expected a whole number",
    "data.detectors=H1": "data.detectors=H1: expected a list",
    "data=3": "data=3: expected a section of keys",
    "model.encoder.kind=null": "expected one of conv, patch",
    "model.encoder.kind=cnv": "expected one of conv, patch, multirate, own; did you mean conv?",
    "resume=Must": "expected one of never, auto, must; did you mean must?",
    "trackers.progress=perhaps": "expected true or false",
    "runtime.memory_budget_gb=much": "expected a number or null",
    "runtime.memory_budget_gb=0": "expected more than 0, or null",
    "runtime.host_memory_gb=-1": "expected more than 0, or null",
    "~data": "a setting cannot be removed",
    "training": "expected key=value",
    "data.strain_dir=a=b": "expected key=value",
    "seed=1,2": "add --multirun",
    "data.window_seconds.x=3": "data.window_seconds is a value, it has no keys below it",
    "run_dir=${nowhere}": "nowhere",
    "experiment=nothing": "there is no such experiment",
    "+experiment=nothing": "there is no such experiment",
}


@pytest.mark.parametrize("override, message", WRONG_VALUES.items())
def test_wrong_value_says_what_was_expected(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load([override])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


IMPOSSIBLE = {
    "name=a/b": "letters, digits",
    "seed=-1": "expected 0 or more",
    "runtime.log_level=verbose": "DEBUG, INFO, WARNING, ERROR",
    "runtime.memory_fraction=2": "(0, 1]",
    "data.detectors=[H1,L2]": "did you mean L1?",
    "data.detectors=[H1,H1]": "each detector may stand there once",
    "data.detectors=[]": "expected one or more",
    "data.window_seconds=4.0001": "use 4.0",
    "data.window_seconds=9": "data.signals.duration_seconds",
    "data.window_seconds=1.001953125": "whole number of latent frames",
    "data.synthetic.seconds=2": "expected at least",
    "data.filter_seconds=8": "data.psd_segment_seconds=4.0",
    "data.lowpass_hz=10": "highpass < lowpass",
    "data.source=real": "give data.strain_dir",
    "data.synthetic.psd_files.H1=no_file.txt": "there is no such file",
    "data.gwosc.start=5": "both GPS times",
    "data.real.exclude_gps=[5]": "expected start-end",
    "data.signals.signal_fraction=1.5": "from 0 to 1",
    "model.encoder.patch=33": "multiple of model.encoder.stride=16, such as 32",
    "model.encoder.stride=0": "expected 1 or more",
    "model.snn.widths=[]": "one or more layers",
    "model.bridge.silent_below=0.7": "silent < saturated",
    "training.accumulation=33": "a micro-batch needs an example",
    "training.infonce.steps=200": "holds 128 frames",
    "training.finetune.snr.start_min=50": "min <= max",
    "training.finetune.learning_rate=0": "more than 0",
    "evaluation.windows=100": "has 0.01, 0.001, which evaluation.windows=100 cannot resolve: 10 "
    "false positives need 10000 windows",
    "event.name=GW150914": "without event.gps",
    "event.gps=3": "without event.name",
}


@pytest.mark.parametrize("override, message", IMPOSSIBLE.items())
def test_impossible_combination_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load([override])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


COMBINATIONS = [
    (
        ["training.batch_size=1", "training.infonce.negatives=batch"],
        "negatives come from other examples",
    ),
    ([f"training.{p}.steps=0" for p in ("pretrain", "probe", "finetune")], "nothing would be"),
    (["training.probe.detection_weight=0"], "it has no loss"),
    (["model.encoder.kind=conv", "model.encoder.conv_kernels=[30,4]"], "30 is none of 8"),
    (["model.encoder.kind=conv", "model.encoder.conv_strides=[8]"], "same length"),
    (["model.encoder.kind=own"], "expected module:Class"),
    (["model.encoder.kind=own", "model.encoder.own=no_such_module:Mine"], "Python's path"),
    (["model.encoder.own=my_encoder:Mine"], "set model.encoder.kind=own"),
    (["event.name=GW150914", "event.gps=1126259462.4"], "an event is recorded"),
    (["data.source=real", "data.strain_dir=no_folder"], "there is no such folder"),
]


@pytest.mark.parametrize("overrides, message", COMBINATIONS)
def test_impossible_combination_of_several(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(overrides)


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    """Found by fuzzing: Hydra's grammar repeats the character it cannot read."""
    with pytest.raises(ConfigError, match=r"cannot read 'seed=3\\x12'") as told:
        load(["seed=3\x12"])
    assert str(told.value).isprintable()


def test_defaults_pass_every_check() -> None:
    assert load([]).run_dir == "runs/default"


def test_overrides_are_taken_with_and_without_plus() -> None:
    cfg = load(["seed=3", "+data.window_seconds=2", "++model.snn.widths=[7]", "name=x"])
    assert (cfg.seed, cfg.data.window_seconds, cfg.model.snn.widths) == (3, 2.0, [7])
    assert cfg.run_dir == "runs/x"
