"""Detectors in files: what is read is what was written, and what is wrong is named."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from tiny import tiny

from ligo_cpc_snn.config.model_schema import Neuron
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.search import weights
from ligo_cpc_snn.search.parameters import WeightsError, named
from ligo_cpc_snn.search.run_weights import trained_detector
from ligo_cpc_snn.search.weights import (
    load_detector,
    read_detector,
    save_detector,
    shipped_detectors,
)
from ligo_cpc_snn.training.checkpoints import Checkpoints
from ligo_cpc_snn.training.learner import create_learner
from ligo_cpc_snn.wiring.ship import ship

CARD = {"seed": 3, "versions": {"ligo-cpc-snn": "0.0.7"}, "limits": ["a test"]}


def detector_of(*overrides: str):
    cfg = tiny("name=made", *overrides)
    _, params = create_learner(
        cfg.model, cfg.training.infonce, detectors=2, sample_rate_hz=512, seed=cfg.seed
    )
    return trained_detector(cfg, params["detector"], time_offset_seconds=0.0125, card=CARD)


@pytest.fixture(scope="module")
def detector():
    return detector_of()


@pytest.fixture
def file(detector, tmp_path) -> Path:
    return save_detector(tmp_path / "made.safetensors", detector)


def parts(file: Path) -> tuple[dict, dict, dict[str, np.ndarray]]:
    """Header, settings and arrays."""
    with safe_open(file, framework="numpy") as content:
        header = json.loads(content.metadata()[weights.KEY])
        arrays = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    return header, json.loads(header["detector"]), arrays


def rewrite(file: Path, header: dict, settings: dict, arrays: dict) -> None:
    """Write a file whose digest is right, whatever is in it."""
    text = json.dumps(settings)
    header = header | {"detector": text, "sha256": weights._digest(text, arrays)}
    save_file(arrays, file, {weights.KEY: json.dumps(header)})


def test_what_is_read_is_what_was_written(detector, file):
    read = load_detector(file)
    assert jax.tree.structure(read.params) == jax.tree.structure(detector.params)
    jax.tree.map(np.testing.assert_array_equal, read.params, detector.params)
    assert replace(read, params=None) == replace(detector, params=None)


@pytest.mark.parametrize("neuron", Neuron)
def test_the_statistic_of_a_read_detector_is_that_of_the_written(neuron, tmp_path):
    made = detector_of(f"model.snn.neuron={neuron.value}", "model.context.kind=gru")
    read = read_detector(save_detector(tmp_path / "x.safetensors", made))
    strain = 3 * jax.random.normal(jax.random.key(0), (2, 2, 64))
    one, other = (d.network(strain)[0].frame_logits for d in (made, read))
    np.testing.assert_array_equal(one, other)
    assert np.ptp(one) > 0


def test_half_the_bits_are_half_the_file_and_come_back_as_float32(detector, tmp_path):
    whole = save_detector(tmp_path / "a.safetensors", detector)
    half = save_detector(tmp_path / "b.safetensors", detector, dtype="float16")
    count = sum(x.size for x in jax.tree.leaves(detector.params))
    assert whole.stat().st_size - half.stat().st_size == pytest.approx(2 * count, abs=64)
    for was, got in zip(*map(jax.tree.leaves, (detector.params, load_detector(half).params))):  # noqa: B905
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, np.asarray(was).astype(np.float16))


def test_the_same_detector_is_the_same_file(detector, tmp_path):
    files = [save_detector(tmp_path / f"{i}.safetensors", detector) for i in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_parameter_too_large_for_half_numbers_is_named(detector, tmp_path):
    params = jax.tree.map(np.array, detector.params)
    params["snn"]["readout"]["bias"][0] = 1e5
    loud = replace(detector, params=params)
    with pytest.raises(WeightsError, match=r"snn\.readout\.bias .*float16.*100000"):
        save_detector(tmp_path / "x.safetensors", loud, dtype="float16")
    assert list(tmp_path.iterdir()) == []
    assert save_detector(tmp_path / "x.safetensors", loud).exists()


@pytest.mark.parametrize("at", [0.02, 0.5, 0.999])
def test_a_flipped_bit_anywhere_is_found(file, at):
    content = bytearray(file.read_bytes())
    content[round(at * len(content))] ^= 4
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"{file}.*(damaged|cannot be read).*get"):
        load_detector(file)


def test_half_a_file_is_refused(file):
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_detector(file)


def test_a_file_of_something_else_is_refused(tmp_path):
    other = tmp_path / "other.safetensors"
    save_file({"x": np.zeros(2)}, other)
    with pytest.raises(WeightsError, match="holds no detector"):
        load_detector(other)


def test_another_format_is_refused_before_anything_else(file):
    header, settings, _ = parts(file)
    rewrite(file, header | {"format": 2}, settings, {})
    with pytest.raises(WeightsError, match=r"format 2, this version reads format 1.*install"):
        load_detector(file)


def test_a_missing_an_unknown_and_a_misshapen_parameter_are_named(file):
    header, settings, arrays = parts(file)
    name = "snn.layers.0.product.kernel"
    for changed, words in (
        ({k: x for k, x in arrays.items() if k != name}, "is missing"),
        (arrays | {"snn.layers.7.bias": np.zeros(3)}, "none of its model's"),
        (arrays | {name: arrays[name][:, :-1].copy()}, r"shape \(32, 7\), .*expects \(32, 8\)"),
    ):
        rewrite(file, header, settings, changed)
        with pytest.raises(WeightsError, match=rf"parameter snn\.layers.* {words}.*version"):
            load_detector(file)


def test_settings_newer_than_the_program_are_refused_and_older_ones_have_defaults(detector, file):
    header, settings, arrays = parts(file)
    del settings["model"]["bridge"]["latency_frames"], settings["model"]["snn"]["slope"]
    rewrite(file, header, settings, arrays)
    assert load_detector(file).model == detector.model
    settings["model"]["encoder"]["warp"] = 9
    rewrite(file, header, settings, arrays)
    with pytest.raises(WeightsError, match=r"model\.encoder\.warp.*\(0\.0\.7\) or a newer"):
        load_detector(file)
    del settings["model"]["encoder"]["warp"]
    settings["model"]["snn"]["neuron"] = "Qubit"
    rewrite(file, header, settings, arrays)
    with pytest.raises(WeightsError, match=r"model\.snn\.neuron"):
        load_detector(file)


def test_a_shipped_detector_is_found_by_its_name(file, tmp_path, monkeypatch):
    folder = tmp_path / "shipped"
    folder.mkdir()
    shutil.copy(file, folder / "bbh_test.safetensors")
    monkeypatch.setattr(weights, "SHIPPED", folder)
    assert shipped_detectors() == ["bbh_test"]
    assert load_detector("bbh_test").name == "made"
    with pytest.raises(WeightsError, match=r"'bbh_tset' is no shipped one \(bbh_test\).*train"):
        load_detector("bbh_tset")


def test_every_shipped_detector_can_be_read_is_small_and_has_a_card():
    for name in shipped_detectors():
        file = weights.SHIPPED / f"{name}.safetensors"
        assert file.stat().st_size < 8e6
        assert (weights.SHIPPED / f"{name}.md").stat().st_size > 0
        read = load_detector(name)
        assert read.name == name
        assert {"data", "seed", "commit", "config_sha256", "limits", "versions"} <= set(read.card)
        assert all(np.isfinite(x).all() for x in named(read.params).values())


@pytest.fixture
def run_folder(tmp_path, detector) -> Path:
    """A run from before runs wrote their detector: config and checkpoints only."""
    from ligo_cpc_snn.config.save import save_once
    from ligo_cpc_snn.training.step import MetricSums, TrainState

    cfg, folder = tiny("name=made"), tmp_path / "run"
    folder.mkdir()
    save_once(cfg, folder, resuming=False)
    zero = np.zeros((), np.int32)
    with Checkpoints(folder / "checkpoints", cfg.training.checkpoint) as kept:
        for step, scale in ((4, 0.5), (8, 1.0)):
            scaled = jax.tree.map(lambda x, s=scale: np.asarray(x) * np.float32(s), detector.params)
            state = TrainState(
                {"detector": scaled}, (), zero, zero, MetricSums({}, zero), zero, zero
            )
            kept.save(step, state, {"score": -step}, {})
    return folder


def test_an_older_run_gives_its_newest_checkpoint(run_folder, detector):
    read = load_detector(run_folder)
    jax.tree.map(np.testing.assert_array_equal, read.params, detector.params)
    assert read.card["run"] == {"name": "made", "seed": 0, "steps": 8}
    assert (read.detectors, read.warm_up_seconds) == (("H1", "L1"), 0.5)
    assert replace(read, params=None, time_offset_seconds=0.0125, card=CARD) == replace(
        detector, params=None
    )


def test_a_run_that_wrote_its_detector_gives_that(run_folder, detector):
    save_detector(run_folder / "detector.safetensors", replace(detector, name="written"))
    assert load_detector(run_folder).name == "written"


def test_a_damaged_checkpoint_and_an_empty_folder_are_refused(run_folder, tmp_path):
    (run_folder / "checkpoints" / "8" / "record" / "metadata").write_text("{}")
    with pytest.raises(WeightsError, match=r"checkpoints/8 cannot be read.*delete it"):
        load_detector(run_folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match=r"neither detector\.safetensors nor a checkpoint"):
        load_detector(tmp_path / "empty")


NUMBERS = {
    "detection": {
        "snrs": [8.0, 10.0],
        "signal_windows": 10,
        "noise_windows": 99,
        "efficiency": [
            {"threshold": {"nominal_rate": 0.001}, "rates": [{"value": 0.25}, {"value": 0.75}]}
        ],
    },
    "parameters": 1234,
    "operations": {"accumulates": 2.5e6, "neuron_rate_hz": None},
}


def test_a_run_is_shipped_with_its_card(detector, tmp_path, monkeypatch):
    run, folder = tmp_path / "bbh-seed0", tmp_path / "shipped"
    for path in (run, folder):
        path.mkdir()
    save_detector(run / "detector.safetensors", replace(detector, card=CARD | {"numbers": NUMBERS}))
    campaign = tmp_path / "sensitivity.json"
    rates = [
        {"false_alarms": {"asked_per_month": rate, "low": rate - 44, "high": rate + 55}}
        | {"distance": mpc, "distance_error": 12.0, "distance_by_largest_injected": 2200.0}
        for rate, mpc in ((100.0, 0.0), (1000.0, 2345.6))
    ]
    about = {"name": "ds1", "injections": 50, "background_seconds": 7200.0}
    searches = {"runs/bbh-seed0": {"limits": "of a month of injections", "rates": rates}}
    campaign.write_text(json.dumps(about | {"foreground_seconds": 1.0, "searches": searches}))
    path = ship(
        run, "bbh_new", dtype="float16", limits=["no V1"], sensitivity=campaign, folder=folder
    )
    monkeypatch.setattr(weights, "SHIPPED", folder)
    read = load_detector("bbh_new")
    assert (read.name, read.card["limits"]) == ("bbh_new", ["a test", "no V1"])
    assert read.card["numbers"]["sensitivity"]["rates"][1]["distance"] == 2345.6
    page = path.with_suffix(".md").read_text()
    for words in (
        "# bbh_new", "| 0.001 | 0.250 | 0.750 |", "2346 ± 12 Mpc", "nothing found",
        "2200 Mpc with the largest injected", "own rate 956 to 1055 (90 %, Poisson)",
        "| volume | d_max and Mc_max of a month of injections |", "- no V1",
        "| parameters | 1234 |", "| accumulates | 2.5e+06 |", "| seed | 3 |", "float16",
    ):  # fmt: skip
        assert words in page


def test_what_cannot_be_shipped_is_refused(detector, tmp_path, monkeypatch):
    file = save_detector(tmp_path / "made.safetensors", detector)
    campaign = tmp_path / "sensitivity.json"
    campaign.write_text(json.dumps({"searches": {"other": {}}}))
    with pytest.raises(UserError, match=r"no search made, it has other"):
        ship(file, "x", sensitivity=campaign, folder=tmp_path)
    monkeypatch.setattr("ligo_cpc_snn.wiring.ship.LARGEST_BYTES", 100)
    with pytest.raises(UserError, match=r"x\.safetensors has .* MB.*float16"):
        ship(file, "x", folder=tmp_path)
    assert not (tmp_path / "x.safetensors").exists()
