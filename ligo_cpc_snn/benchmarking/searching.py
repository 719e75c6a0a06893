"""Search and time slides, as work of known seconds of strain."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np

from ligo_cpc_snn.benchmarking.scales import Size
from ligo_cpc_snn.benchmarking.stages import Setting
from ligo_cpc_snn.benchmarking.work import Work
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.runtime.devices import memory_budget_bytes
from ligo_cpc_snn.search.engine import Engine, Searched
from ligo_cpc_snn.search.feature_slides import slide_background
from ligo_cpc_snn.search.slide_plan import SlideSegment
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.strain.segments import StrainSegment
from ligo_cpc_snn.wiring.choices import prepared_search, slides_at_a_time

GPS = 1e9  # of the first segment, s
LEAST_SHIFT_SECONDS = 1.0
THRESHOLD = 1e3  # of the slides' statistic, never reached: peaks are no part of the time
STRAIN = 1e-21  # white noise of the size of strain


def search_work(setting: Setting, size: Size) -> dict[str, Work]:
    """Return a search of segments side by side, whitening included, and slides of its features.

    Strain is in memory: reading of files depends on disks.
    """
    asked = SearchConfig(report=False, runtime=setting.cfg.runtime)
    psd_seconds = min(asked.psd_seconds, size.search_seconds)
    cfg, detector, _ = prepared_search(asked, _detector(setting.cfg, setting.params))
    segments = _segments(setting.cfg, size)
    engine = Engine(
        detector,
        chunk_seconds=cfg.chunk_seconds,
        streams=cfg.streams,
        psd_seconds=psd_seconds,
        keep_features=True,
    )
    found = list(engine.run(segments))
    seconds = size.segments * size.search_seconds
    search = Work(lambda: list(engine.run(segments)), seconds, "s of strain")
    if found[0].features is None:  # one encoder sees all detectors: nothing to slide
        return {"search": search}
    slide = _slides(setting.cfg, detector, found, size)
    return {"search": search, "slides": Work(slide, slide().seconds, "s of slides")}


def _slides(cfg: Config, detector: TrainedDetector, found: list[Searched], size: Size) -> Any:
    kept = [np.asarray(searched.features) for searched in found]
    parts = [SlideSegment(x, np.ones(x.shape[:2], bool)) for x in kept]
    return partial(
        slide_background,
        detector,
        parts,
        slides=size.slides,
        shift_seconds=LEAST_SHIFT_SECONDS,
        threshold=THRESHOLD,
        cluster_seconds=1.0,
        budget_bytes=memory_budget_bytes(cfg.runtime),
        at_a_time=slides_at_a_time(cfg.runtime, detector),
    )


def _detector(cfg: Config, params: Any) -> TrainedDetector:
    """Return a detector with the learner's initial weights: its speed is that of a trained one."""
    model, data = replace(cfg.model), cfg.data
    return TrainedDetector(
        name="benchmark", model=model, params=jax.device_get(params["detector"]),
        detectors=tuple(data.detectors), sample_rate_hz=data.sample_rate_hz,
        band_hz=data.band_hz, filter_seconds=data.filter_seconds,
        psd_segment_seconds=data.psd_segment_seconds, time_offset_seconds=0.0,
        warm_up_seconds=model.warm_up_seconds, card={},
    )  # fmt: skip


def _segments(cfg: Config, size: Size) -> list[Coincident]:
    """Return white noise in segments a second apart."""
    rng, rate = np.random.default_rng(cfg.seed), cfg.data.sample_rate_hz
    samples = round(size.search_seconds * rate)
    return [
        {
            name: StrainSegment(
                name, GPS + i * (size.search_seconds + 1), rate,
                STRAIN * rng.standard_normal(samples), "benchmark",
            )
            for name in cfg.data.detectors
        }
        for i in range(size.segments)
    ]  # fmt: skip
