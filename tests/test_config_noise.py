"""Settings of noise that cannot work are refused before anything is read."""

from pathlib import Path

import pytest

from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.errors import ConfigError

REAL = ["data.source=real", "data.strain_dir=."]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent.parent)  # files are named from there


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([*REAL, "data.real.validation_fraction=0"], "more than 0 and less than 1"),
        (
            [*REAL, "data.real.validation_fraction=0.5", "data.real.test_fraction=0.5"],
            "less than 1 together",
        ),
        (["data.real.test_fraction=-0.1"], r"test_fraction=-0\.1: expected a number from 0 to 1"),
        ([*REAL, "data.real.block_seconds=0"], "block_seconds=0: expected 1 or more"),
        ([*REAL, "data.real.block_seconds=2"], "block_seconds=2: expected at least 3"),
        ([*REAL, "data.psd.kind=perturbed"], r"use data\.source=recoloured"),
        (["data.source=recoloured"], r"data\.source=recoloured without strain"),
        (
            ["data.source=recoloured", "data.strain_dir=.", "data.real.minimum_seconds=4.5"],
            r"minimum_seconds=4\.5: expected at least 5",
        ),
        (["data.psd.kind=drawn"], r"drawn without data\.psd\.files\.H1"),
        (
            ["data.psd.kind=drawn", "data.psd.files={H1: [none.txt], L1: [none.txt]}"],
            r"data\.psd\.files\.H1 has none\.txt: there is no such file",
        ),
        (
            ["data.psd.kind=drawn", "data.psd.files={V1: [none.txt]}"],
            r"data\.psd\.files has V1",
        ),
        (
            ["data.psd.kind=perturbed", "data.psd.count=600", "data.synthetic.seconds=4096"],
            r"synthetic\.validation_seconds=256\.0: expected 600",
        ),
        (
            ["data.psd.kind=perturbed", "data.psd.count=2000", "data.synthetic.seconds=4096"],
            r"validation_bank_size=1024: expected data\.psd\.count=2000",
        ),
        (
            ["data.source=recoloured", "data.strain_dir=.", "event.name=GW", "event.gps=1e9"],
            r"data\.source=recoloured: an event is recorded",
        ),
        (["data.real.event_margin_seconds=-1"], r"event_margin_seconds=-1\.0: expected 0 or more"),
        (["data.real.minimum_seconds=0"], r"minimum_seconds=0\.0: expected more than 0"),
        (["data.real.psd_seconds=0"], r"psd_seconds=0\.0: expected more than 0"),
        (["data.real.block_seconds=0"], r"block_seconds=0: expected 1 or more"),
        (["data.quality.stretch_seconds=0.1"], r"stretch_seconds=0\.1 .* expected 0\.25 or more"),
        (["data.glitches.scan_threshold=0"], r"scan_threshold=0\.0: expected 3 or more"),
        (["data.glitches.real_fraction=0.1"], r"simulated noise has no transients"),
        (
            ["data.glitches.synthetic_fraction=0.1", "data.highpass_hz=60"],
            r"low_frequency_burst, from 25 to 60 Hz, are not heard between 60 and",
        ),
        (["data.psd.files={H1: [none.txt]}"], r"files\.H1 has none\.txt: there is no such file"),
        (["data.psd.files={H1: [pyproject.toml]}"], r"kind=fixed and .* nothing is drawn from it"),
        (["data.signals.reference_hz=0"], r"reference_hz=0\.0: expected more than 0"),
        (["data.signals.duration_seconds=3"], r"duration_seconds=3: the longest signal"),
    ],
)
def test_what_cannot_work_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.psd.kind=perturbed"],
        ["data.source=recoloured", "data.strain_dir=.", "data.psd.kind=drawn"],
        [*REAL, "data.real.test_fraction=0.2", "data.glitches.real_fraction=0.1"],
        ["data.highpass_hz=60"],  # nobody asks for glitches
    ],
)
def test_what_can_work_is_not(overrides: list[str]) -> None:
    load(overrides)
