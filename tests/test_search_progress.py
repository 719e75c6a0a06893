"""What a search keeps: whose it is, and what of it is taken again."""

import json
import os

import numpy as np
import pytest
from small_detector import small_detector

from ligo_cpc_snn.config.compose import load_root
from ligo_cpc_snn.config.roots import SEARCH
from ligo_cpc_snn.config.search_arguments import to_overrides
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.search.engine import Searched
from ligo_cpc_snn.search.slide_plan import Background
from ligo_cpc_snn.search.throughput import Throughput
from ligo_cpc_snn.search.whitened import Whitened
from ligo_cpc_snn.wiring import search_ranking, search_strain_slides
from ligo_cpc_snn.wiring.search_identity import OtherSearchError, identity_of, refuse_other
from ligo_cpc_snn.wiring.search_progress import Group, Progress


def config(*arguments: str) -> SearchConfig:
    return load_root(to_overrides(arguments), SEARCH)


def test_a_folder_that_has_grown_is_the_same_search(tmp_path) -> None:
    folder, detector = tmp_path / "strain", "small"
    folder.mkdir()
    (folder / "a.hdf").touch()
    relative = os.path.relpath(folder)
    first, grown = (
        identity_of(config(name, "--detector", detector), small_detector())
        for name in (str(folder), relative)
    )
    assert first == grown
    (tmp_path / "search.json").write_text(json.dumps({"identity": first}))
    (folder / "b.hdf").touch()
    refuse_other(tmp_path, grown)
    (tmp_path / "search.json").write_text("{")
    with pytest.raises(OtherSearchError, match="cannot be read"):
        refuse_other(tmp_path, grown)


def test_a_background_of_other_strain_is_not_taken(tmp_path, monkeypatch) -> None:
    """The same folder, times and settings, other strain: so another statistic."""
    made = []

    def slid(cfg, detector, parts, *_):
        made.append(parts)
        return Background(parts[0].value[:3], 10.0 * len(made), 2)

    monkeypatch.setattr(search_ranking, "_of_features", slid)
    progress = Progress(tmp_path / "progress", {})
    cfg, detector, gps = config("background.slides=2"), small_detector(), 1e9 + np.arange(50.0)

    def background(value) -> float:
        part = Searched(gps, value, None, 1e9, 50.0, 0.0, None)
        found = search_ranking._background(cfg, detector, None, [part], 0.0, progress, np.zeros(0))
        return found.seconds

    one, other = np.zeros(50, np.float32), np.zeros(50, np.float32)
    other[7] = 1e-6
    assert [background(one), background(one), background(other)] == [10.0, 10.0, 20.0]


def test_joint_slides_see_each_time_once(tmp_path, monkeypatch) -> None:
    """Stretches overlap by the filter and the warm-up: the later one is cut."""
    detector, seen = small_detector(), []
    frame, samples = detector.frame_seconds, detector.frame_samples

    class Plan:
        def coincident(self, span):
            return [span], None

    def whiten(span, *_):
        """Strain that says which frame of all it is."""
        start, end = span[0] + 0.25, span[1] - 0.25
        number = (start + frame * np.arange(round((end - start) / frame)) - 1000) / frame
        return Whitened(start, np.repeat(np.stack([number] * 2), samples, 1).astype(np.float32))

    def slide(run, segments, **_):
        seen.extend(segment.features for segment in segments)
        return Background(np.zeros(0), 1.0, 1)

    monkeypatch.setattr(search_strain_slides, "whiten_coincident", whiten)
    monkeypatch.setattr(search_strain_slides, "slide_strain_background", slide)
    monkeypatch.setattr(search_strain_slides, "_runner", lambda *_: None)
    parts = []
    for start, first in ((1000.0, 1001.0), (1014.5, 1015.75), (1029.0, 1030.25), (1100.0, 1101.0)):
        gps = np.arange(first, start + 16 - 0.25 + frame / 2, frame)
        parts.append(Searched(gps, np.zeros(gps.size), None, start, 16.0, 0.6, None))
    progress = Progress(tmp_path / "progress", {})
    search_strain_slides.joint_background(config(), detector, Plan(), parts, 0.0, progress)
    numbers = np.concatenate([features[0, :, 0] for features in seen])
    assert [features.shape[0] for features in seen] == [2] * 4
    assert np.all(np.diff(numbers) >= 1)
    # All of 1000.25 to 1044.75, and of 1100.25 to 1115.75.
    assert numbers.size == round((44.5 + 15.5) / frame)


def test_packed_spikes_are_the_spikes(tmp_path) -> None:
    spikes = np.random.default_rng(0).random((2, 40, 11)) < 0.3
    progress = Progress(tmp_path / "progress", {})
    found = Searched(np.zeros(40), np.zeros(40, np.float32), spikes, 0.0, 1.0, 0.0, None)
    (part,) = progress.save("1-x", Group((found,), (), Throughput(*[1.0] * 6))).parts
    assert part.features.bits.dtype == np.uint8
    assert part.features.shape == (2, 40, 11)
    np.testing.assert_array_equal(np.asarray(part.features), spikes)
    np.testing.assert_array_equal(part.features[1, 3:9], spikes[1, 3:9])
    np.testing.assert_array_equal(np.asarray(part.features.from_frame(7)), spikes[:, 7:])
