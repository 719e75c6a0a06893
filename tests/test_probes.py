"""Linear read-outs and neighbours of representations, and the windows they are asked about."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny

from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.evaluation.probes import explained_variance, fit_probe, neighbours
from ligo_cpc_snn.wiring import interactive
from ligo_cpc_snn.wiring.interactive import data_of, known_windows, represent, trained
from ligo_cpc_snn.wiring.optimize import untrained


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-6, 1e6))
def test_a_probe_finds_what_is_linear_in_any_unit(seed, scale):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(200, 5)) * scale + 3 * scale
    y = x @ rng.normal(size=(5, 2)) / scale + 7
    probe = fit_probe(x[:100], y[:100], penalty=1e-9)
    assert explained_variance(probe(x[100:]), y[100:]) == pytest.approx(1, abs=1e-6)


def test_a_probe_of_noise_explains_nothing_that_it_has_not_seen():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 100)), rng.normal(size=(400, 1))
    probe = fit_probe(x[:200], y[:200])
    assert explained_variance(probe(x[:200]), y[:200]) > 0.2  # learned by heart
    assert explained_variance(probe(x[200:]), y[200:]) < 0


def test_the_mean_explains_no_variance_and_the_truth_all():
    y = np.array([[1.0], [2.0], [4.0]])
    assert explained_variance(np.full_like(y, y.mean()), y) == 0
    assert explained_variance(y, y) == 1


def test_a_feature_that_never_changes_does_no_harm():
    x = np.stack([np.full(50, 3.0), np.arange(50.0)], axis=1)
    probe = fit_probe(x, x[:, 1:], penalty=1e-9)
    assert np.allclose(probe(x), x[:, 1:], atol=1e-5)


def test_a_probe_says_what_is_wrong_with_its_rows():
    with pytest.raises(ValueError, match="3 rows of features and 2 of targets"):
        fit_probe(np.ones((3, 1)), np.ones((2, 1)))


def test_the_nearest_neighbour_of_an_example_is_itself_whatever_its_length():
    rng = np.random.default_rng(1)
    gallery = rng.normal(size=(30, 8)) + 100  # far from the origin: the mean is taken off
    found = neighbours(gallery, gallery, 3)
    assert (found[:, 0] == np.arange(30)).all()
    longer = gallery.mean(axis=0) + 5 * (gallery - gallery.mean(axis=0))
    assert (neighbours(longer, gallery) == found[:, :1]).all()
    with pytest.raises(ValueError, match="31 neighbours of a gallery of 30"):
        neighbours(gallery, gallery, 31)


@pytest.fixture(scope="module")
def cfg(tmp_path_factory):
    return tiny(run_dir=tmp_path_factory.mktemp("runs") / "run")


def test_windows_hold_the_sources_they_are_said_to_hold(cfg, tmp_path, monkeypatch):
    monkeypatch.setenv("LIGO_CACHE_DIR", str(tmp_path))
    data = data_of(cfg)
    loud, faint = (known_windows(cfg, data, count=8, network_snr=snr) for snr in (30.0, 10.0))
    assert loud.signal.tolist() == [False, True] * 4
    assert (loud.strain[::2] == faint.strain[::2]).all()  # the same noise
    signal = (loud.strain - faint.strain)[1::2] / 20
    norm = np.sqrt(np.sum(signal**2, axis=(1, 2)))
    assert (norm < 1.001).all()  # cropped
    assert (norm > 0.5).all()
    assert loud.sources["mass_1"].shape == (4,)
    assert 0 < loud.merger_seconds < cfg.data.window_seconds


def test_the_context_of_a_frame_knows_nothing_of_what_comes_later(cfg):
    network = untrained(cfg)
    strain = np.random.default_rng(2).normal(size=(3, 2, 256)).astype(np.float32)
    changed = strain.copy()
    changed[..., 128:] = 0
    frames = 128 // network.frame_samples
    for whole, cut in zip(represent(network, strain), represent(network, changed), strict=True):
        assert whole.shape == (3, 256 // network.frame_samples, 2 * 8)  # features side by side
        assert np.allclose(whole[:, :frames], cut[:, :frames], atol=1e-6)
        assert not np.allclose(whole[:, frames:], cut[:, frames:], atol=1e-3)


def test_a_representation_does_not_depend_on_what_is_beside_it(cfg, monkeypatch):
    network = untrained(cfg)
    strain = np.random.default_rng(2).normal(size=(5, 2, 256)).astype(np.float32)
    whole = represent(network, strain)
    monkeypatch.setattr(interactive, "AT_ONCE", 2)
    for one, other in zip(whole, represent(network, strain), strict=True):
        assert np.allclose(one, other, atol=1e-5)


def test_a_finished_run_is_not_trained_again_and_a_stopped_one_is_told(cfg, monkeypatch):
    calls = []
    monkeypatch.setattr(interactive, "train", lambda cfg: calls.append(cfg) or 130)
    with pytest.raises(UserError, match="was stopped before its end"):
        trained(cfg)
    folder = trained_folder(cfg)
    (folder / "metrics.json").write_text("{}")
    assert trained(cfg) == folder
    assert len(calls) == 1


def trained_folder(cfg):
    folder = Path(cfg.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
