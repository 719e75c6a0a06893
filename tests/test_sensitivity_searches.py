"""Searches of a measurement: what is refused before it begins, and what is kept of each."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from search_detector import small_detector
from test_sensitivity_command import settings, some_search

from ligo_cpc_snn.config.compose import load_root
from ligo_cpc_snn.config.data_schema import Source
from ligo_cpc_snn.config.roots import EVALUATION
from ligo_cpc_snn.evaluation.campaign_settings import first_difference, settings_text
from ligo_cpc_snn.evaluation.challenge import read_events
from ligo_cpc_snn.search.parameters import WeightsError
from ligo_cpc_snn.search.weights import save_detector
from ligo_cpc_snn.wiring import campaign, campaign_searches, campaign_slides
from ligo_cpc_snn.wiring.campaign import background_seconds, run_campaign
from ligo_cpc_snn.wiring.campaign_asked import asked_of, check_split, label_of
from ligo_cpc_snn.wiring.campaign_caveats import caveats_of
from ligo_cpc_snn.wiring.campaign_searches import Done, bank_ranges

SPLIT = {"block_seconds": 64, "validation_fraction": 0.2, "test_fraction": 0.0}


def trained_on(source: str, **real):
    return replace(small_detector(), card={"config": {"data": {"source": source, "real": real}}})


def on_recordings(folder: Path, *more: str):
    return settings(folder, "data.source=real", *more)


def test_a_split_other_than_that_of_the_training_is_refused(tmp_path) -> None:
    ours = trained_on("real", **SPLIT, exclude_gps=["1-2"])
    told = (
        r"detector it shared .* data\.real\.block_seconds=128, data\.real\.validation_fraction="
        r"0\.25: .* give data\.real\.block_seconds=64 data\.real\.validation_fraction=0\.2$"
    )
    with pytest.raises(ValueError, match=told):
        check_split("it", ours, on_recordings(tmp_path))
    same = ["data.real.block_seconds=64", "data.real.validation_fraction=0.2"]
    check_split("it", ours, on_recordings(tmp_path, *same))
    with pytest.raises(ValueError, match=r"give data\.real\.test_fraction=0\.0"):
        check_split("it", ours, on_recordings(tmp_path, *same, "data.real.test_fraction=0.1"))
    check_split("it", ours, settings(tmp_path))  # into simulated noise
    check_split("it", trained_on("synthetic", **SPLIT), on_recordings(tmp_path))
    with pytest.raises(ValueError, match="shared recorded strain out otherwise"):
        check_split("it", trained_on("recoloured", **SPLIT), on_recordings(tmp_path))


def test_a_split_is_looked_at_before_files_are_made(tmp_path) -> None:
    file = save_detector(tmp_path / "real.safetensors", trained_on("real", **SPLIT))
    folder = tmp_path / "m"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"give data\.real\.block_seconds=64"):
        run_campaign(on_recordings(folder, f"searches=[{file}]"), folder, tmp_path)
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    "setting,error,message",
    [
        ("searches=[nope]", WeightsError, "'nope' is no shipped one"),
        ("events={a: /nonexistent}", FileNotFoundError, "/nonexistent/background.hdf: no such"),
    ],
)
def test_what_is_not_there_is_told_before_files_are_made(tmp_path, setting, error, message) -> None:
    with pytest.raises(error, match=message):
        run_campaign(settings(tmp_path, setting), tmp_path, tmp_path)
    assert not list(tmp_path.iterdir())


def test_searches_are_called_by_their_run_and_no_two_alike(tmp_path) -> None:
    assert label_of("runs/a/detector.safetensors") == "a"
    assert label_of("runs/a/") == "a"
    assert label_of("weights/b.safetensors") == "b"
    assert label_of("matched_filter") == "matched_filter"
    files = [tmp_path / x / "same.safetensors" for x in "ab"]
    for file in files:
        file.parent.mkdir()
        save_detector(file, small_detector())
    with pytest.raises(ValueError, match=r"would be called same, as another of searches: .*a/same"):
        asked_of(settings(tmp_path, f"searches=[{files[0]},{files[1]}]"))
    with pytest.raises(ValueError, match="would be called same, as another of events"):
        asked_of(settings(tmp_path, f"searches=[{files[0]}]", "events={same: x}"))


def test_the_first_setting_that_differs_is_named(tmp_path) -> None:
    texts = [
        settings_text(settings(tmp_path, f"data.signals.population.mass_1.low={low}"))
        for low in (25.0, 26.0)
    ]
    told = first_difference(*texts)
    assert told == "signals.population.mass_1.low was 25.0, is 26.0"
    assert first_difference(texts[0], texts[0]) == "none differs"


def test_published_distances_are_of_their_data_only(tmp_path) -> None:
    def told(*given: str) -> str:
        return " ".join(caveats_of(load_root(list(given), EVALUATION), {}))

    assert told("+population=mlgwsc1_ds1", "published=ds1") == ""
    assert "data.psd.kind=fixed, not drawn" in told("+population=mlgwsc1_ds3", "published=ds3")
    drawn = "data.psd.kind=drawn"
    assert told("+population=mlgwsc1_ds3", "published=ds3", drawn) == ""
    assert "mass_1.low=7.0, not 10.0" in told("+population=mlgwsc1_ds3", "published=ds1")
    assert "data.source=synthetic, not real" in told("+population=mlgwsc1_ds3", "published=ds4")
    real = ["+population=mlgwsc1_ds3", "published=ds4", "data.source=real"]
    assert told(*real) == ""
    assert "flatters them" in told(*real, "noise_sets=[training]")
    unknown = {"it": small_detector(), "matched_filter": None}
    (text,) = caveats_of(load_root(real, EVALUATION), unknown)
    assert text.startswith("it: the card does not say")


def test_false_alarms_in_recordings_are_counted_in_what_was_analysed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(campaign, "observed_seconds", lambda _: 600.0)
    cfg, files = settings(tmp_path), campaign.CampaignFiles(*[tmp_path] * 3)
    done = Done("it", tmp_path, {"background": {"analysed_seconds": 480.0}})
    assert background_seconds(cfg, done, files) == 600
    cfg.data.source = Source.real
    assert background_seconds(cfg, done, files) == 480
    assert background_seconds(cfg, Done("given", tmp_path, {}), files) == 600


def test_a_bank_of_precessing_signals_can_be_made(caplog) -> None:
    caplog.set_level(logging.INFO)
    signals = load_root(["+population=mlgwsc1_ds3"], EVALUATION).data.signals
    ranges = bank_ranges(signals.population)
    assert (ranges.spin, ranges.minimal_match, ranges.mass_low) == (0.6, 0.93, 7.0)
    assert "aligned spins to 0.6, minimal match 0.93" in caplog.text
    still = bank_ranges(load_root(["+population=mlgwsc1_ds1"], EVALUATION).data.signals.population)
    assert (still.spin, still.minimal_match) == (0.0, 0.97)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A measurement of a small detector and of given events; and what the second one left."""
    base = tmp_path_factory.mktemp("searches")
    folder = base / "m"
    folder.mkdir()
    file = save_detector(base / "small.safetensors", small_detector())
    run = f"searches=[{file}]"
    assert run_campaign(settings(folder, run, "report=false"), folder, base) == 0
    first = json.loads((folder / "sensitivity.json").read_text())
    some_search(folder, base / "other", 1.0)
    given = f"events={{other: {base / 'other'}}}"
    assert run_campaign(settings(folder, run, given), folder, base) == 0
    return folder, first, json.loads((folder / "sensitivity.json").read_text())


def test_what_is_said_of_a_search_is_kept(searched) -> None:
    folder, first, second = searched
    said = first["searches"]["small"]
    assert set(said["runs"]) == {"background", "foreground"}
    assert said["runs"]["background"]["events"] == said["background_events"]
    assert second["searches"]["small"] == said
    assert second["searches"]["other"]["runs"] == {}
    # 600 s in one segment, which is read in one stretch: whitening and warm-up are lost.
    assert 590 < said["analysed_seconds"]["background"] < 600
    assert said["background_seconds"] == 600
    assert read_events(folder / "searches/small/background.hdf").gps.size > 100


def test_slides_of_a_search_are_compared_with_its_noise(searched) -> None:
    folder, first, _ = searched
    slides = first["searches"]["small"]["slides"]
    assert isinstance(slides["consistent"], bool)
    assert slides["true_peaks"] == pytest.approx(60, abs=2)
    assert slides["slid_seconds"] == pytest.approx(4 * slides["seconds"], rel=0.02)
    assert slides["rate_ratio_low"] < slides["rate_ratio"] < slides["rate_ratio_high"]
    assert "Time slides of" in (folder / "report.html").read_text()


def test_another_version_searches_anew(searched, monkeypatch) -> None:
    folder, _, _ = searched
    ran = []
    monkeypatch.setattr(campaign_searches.metadata, "version", lambda _: "9.9")
    cfg = settings(folder)
    before = campaign_searches.build_search(small_detector(), cfg, folder, folder).identity
    monkeypatch.undo()
    now = campaign_searches.build_search(small_detector(), cfg, folder, folder).identity
    assert before != now
    noise = {"background": folder / "background.hdf"}
    fake = campaign_searches.Search(now, lambda *_: ran.append(1) or {})
    monkeypatch.setattr(campaign_searches, "build_search", lambda *_: fake)
    list(campaign_searches.run_searches({"small": None}, cfg, folder, noise, folder))
    assert not ran
    fake = fake._replace(identity=before, run=lambda *_: pytest.fail("searched"))
    with pytest.raises(pytest.fail.Exception, match="searched"):
        list(campaign_searches.run_searches({"small": None}, cfg, folder, noise, folder))


def test_an_encoder_of_all_detectors_has_no_slides(tmp_path) -> None:
    from ligo_cpc_snn.config.model_schema import DetectorFusion
    from ligo_cpc_snn.config.search_schema import SearchConfig

    joint = small_detector(encoder__detectors=DetectorFusion.joint)
    told = campaign_slides.check_slides(joint, SearchConfig(), tmp_path, 1)
    assert "cannot be slid" in told["skipped"]
