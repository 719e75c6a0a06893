"""Output folders of searches, made without searching, for the tests of their report."""

from pathlib import Path

import numpy as np

from ligo_cpc_snn.search import outputs
from ligo_cpc_snn.search.catalogue import events_in, known, with_events
from ligo_cpc_snn.search.outputs import TriggerTable, unranked
from ligo_cpc_snn.search.record import (
    ANALYSED,
    LEFT_OUT,
    WARM_UP,
    BackgroundRecord,
    SearchedSpan,
    SearchRecord,
    write_record,
)
from ligo_cpc_snn.search.stream import Statistic
from ligo_cpc_snn.search.triggers import Triggers
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.strain.segments import StrainSegment
from ligo_cpc_snn.units import YEAR_SECONDS
from ligo_cpc_snn.wiring.candidates import Around, write_candidates

RATE, FRAME, OFFSET = 2048, 1 / 128, 0.02  # Hz, s, s
THRESHOLD, SLIDES = 3.0, 100
EVENTS = {"GW150914": 1126259462.4, "GW151012": 1128678900.4, "GW170104": 1167559936.6}
CHIRP_MASS = {"GW150914": 30.0, "GW151012": 18.0, "GW170104": 25.0}  # solar, detector frame
LOUDNESS = {"GW150914": 18.4, "GW151012": 9.1, "GW170104": 11.9}  # their statistic
SOLAR_MASS = 4.925491e-6  # s
DETECTORS = ("H1", "L1")

CONSISTENCY = {
    "consistent": True, "ks_p_value": 0.43, "rate_ratio": 1.02, "rate_ratio_low": 0.91,
    "rate_ratio_high": 1.13,
}  # fmt: skip
CARD = {
    "data": {
        "source": "real", "training_noise_seconds": 51_200.0, "approximant": "IMRPhenomXPHM",
        "signals_in_bank": 16_384, "window_seconds": 4.0,
    },
    "seed": 1, "config": {"data": {"window_seconds": 4.0}}, "config_sha256": "3f6c" + 60 * "0",
    "commit": "d084c68", "weights": "moving average, decay 0.999",
    "numbers": {
        "detection": {
            "snrs": [6.0, 8.0, 12.0],
            "efficiency": [{
                "threshold": {"nominal_rate": 1e-3},
                "rates": [{"value": 0.11}, {"value": 0.62}, {"value": 0.98}],
            }],
        },
        "sensitivity": {
            "rates": [{"per_month": 1000.0, "distance": 1512.0, "distance_error": 17.0}]
        },
        "timing": {"median_error_seconds": 0.011}, "parameters": 812_345,
        "operations": {"synaptic_operations_per_second": 4.1e7},
    },
    "machine": {"device": "x86_64", "cores": 2},
    "versions": {"ligo-cpc-snn": "0.1.0", "jax": "0.10.2"},
    "limits": ["trained on windows of 4 s", "no strain of O4 was seen"],
}  # fmt: skip


def chirp(time: np.ndarray, mass: float) -> np.ndarray:
    """Return a chirp of unit norm that ends at time 0, in leading order."""
    left, scale = np.clip(-time, 2e-3, None), mass * SOLAR_MASS
    phase = -2 * (left / (5 * scale)) ** (5 / 8)
    shape = left**-0.25 * np.cos(phase) * (time < 0) * np.clip((time + 3) / 0.5, 0, 1)
    ringing = np.cos(2 * np.pi * 220 * time) * np.exp(-np.clip(time, 0, None) / 0.004) * 4
    shape = shape + np.where(time >= 0, ringing, 0)
    return shape / np.linalg.norm(shape)


def spans(events: dict[str, float]) -> list[SearchedSpan]:
    """Return half an hour around each event, with a gap, and a short piece left out."""
    found = []
    for gps in events.values():
        start = float(round(gps) - 900)
        found += [
            SearchedSpan(start, start + 4, WARM_UP),
            SearchedSpan(start + 4, start + 1200, ANALYSED),
            SearchedSpan(start + 1205, start + 1209, WARM_UP),
            SearchedSpan(start + 1209, start + 1790, ANALYSED),
            SearchedSpan(start + 1800, start + 1805, LEFT_OUT, "shorter than minimum_seconds=8"),
        ]
    return found


def triggers(rng: np.random.Generator, searched: list[SearchedSpan], found: int) -> Triggers:
    """Return triggers of noise and of the first `found` events."""
    analysed = [span for span in searched if span.state == ANALYSED]
    gps = [float(rng.uniform(s.start, s.end)) for s in analysed for _ in range(4)]
    statistic = list(THRESHOLD + rng.exponential(0.8, len(gps)))
    gps += [time + 0.0187 for time in list(EVENTS.values())[:found]]
    statistic += list(LOUDNESS.values())[:found]
    order = np.argsort(gps)
    loud = np.array(statistic)[order]
    share = rng.uniform(0.3, 0.7, loud.size)
    contributions = np.stack([loud * share, loud * (1 - share)], axis=1)
    return Triggers(np.array(gps)[order], loud, contributions)


def ranked(table: TriggerTable, background: np.ndarray, seconds: float, own: float) -> TriggerTable:
    """Return the table with rates of the simplest kind: (louder + 1) over the live time."""
    louder = np.count_nonzero(background >= table.statistic[:, None], axis=1)
    far = (louder + 1) / seconds * YEAR_SECONDS
    return table._replace(
        far_per_year=far,
        ifar_years=1 / far,
        far_low_per_year=np.where(louder > 0, 0.6 * far, 0.0),
        far_high_per_year=2.3 * far,
        p_value=1 - np.exp(-far * own / YEAR_SECONDS),
    )


def around(gps: float) -> Around:
    """Return noise, with a chirp in it where there is an event."""
    rng = np.random.default_rng(int(gps))
    start = np.floor(gps) - 5
    time = start + np.arange(10 * RATE) / RATE
    name = next((n for n, t in EVENTS.items() if abs(t - gps) < 0.3), None)
    strain = rng.normal(0, 0.5, (2, time.size))
    if name is not None:
        signal = chirp(time - EVENTS[name] - 0.02, CHIRP_MASS[name])
        strain += np.stack([13 * np.roll(signal, 14), -11 * signal])
    whitened: Coincident = {
        detector: StrainSegment(detector, start, RATE, row, "simulated")
        for detector, row in zip(DETECTORS, strain, strict=True)
    }
    ends = start + (np.arange(round(10 / FRAME)) + 1) * FRAME
    bump = np.exp(-(((ends - gps - OFFSET) / 0.03) ** 2))
    value = rng.normal(-5, 1.2, ends.size) * (1 - bump) + bump * (LOUDNESS[name] if name else 4.4)
    return Around(Statistic(ends, value), whitened)


def write_search(
    folder: Path, *, found: int = 3, slides: int = SLIDES, catalogue: bool = True,
    candidates: int = 10, one_segment: bool = False, empty: bool = False,
) -> Path:  # fmt: skip
    """Write every file that a search writes into a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    searched = spans(EVENTS)[1:2] if one_segment else spans(EVENTS)
    events = known(EVENTS, "event-versions.csv") if catalogue else known({}, "")
    own = sum(span.end - span.start for span in searched if span.state == ANALYSED)
    seconds = own * slides
    background = THRESHOLD + rng.exponential(0.8, round(4 * seconds / 890))
    table = unranked(triggers(rng, searched, min(found, 1) if one_segment else found), DETECTORS)
    if empty:
        table = unranked(Triggers(np.zeros(0), np.zeros(0), np.zeros((0, 2))), DETECTORS)
    if slides:
        table = ranked(table, background, seconds, own)
        outputs.write_background(
            folder / outputs.BACKGROUND, background,
            seconds=seconds, slides=slides, zero_lag_seconds=own,
        )  # fmt: skip
    table = with_events(table, events)
    outputs.write_events(folder / outputs.EVENTS, table, 0.3)
    outputs.write_triggers(folder / outputs.TRIGGERS_CSV, folder / outputs.TRIGGERS_HDF5, table)
    write_candidates(
        folder / outputs.CANDIDATES, table, around,
        time_offset_seconds=OFFSET, band_hz=(20.0, 900.0), limit=candidates,
    )  # fmt: skip
    detector = {
        "name": "bbh_o3", "detectors": list(DETECTORS), "sample_rate_hz": RATE,
        "band_hz": [20.0, 900.0], "frame_seconds": FRAME, "warm_up_seconds": 4.0,
        "time_offset_seconds": OFFSET, "card": CARD,
    }  # fmt: skip
    record = SearchRecord(
        name="Three events", detector=detector, source="open data of GWOSC", open_data=True,
        spans=searched, seconds_read=own + 24, threshold=THRESHOLD, cluster_seconds=0.3,
        timing_seconds=0.3,
        background=BackgroundRecord(slides, seconds, 2.0, False, CONSISTENCY)
        if slides else None,
        wall_seconds=4.9, cpu_seconds=9.8, cores=2,
        catalogue=events.source, events=events_in(events, searched),
        files=["H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5", "L-L1_GWOSC_4KHZ_R1-1126259447-32.hdf5"],
        command="ligo-search --detector bbh_o3 GW150914 GW151012 GW170104",
        versions={"ligo-cpc-snn": "0.1.0", "python": "3.11.7", "jax": "0.10.2"},
        machine={"platform": "cpu", "device": "x86_64, 2 cores", "memory_bytes": 8 * 2**30},
        settings={"name": "Three events", "detector": "bbh_o3", "background": {"slides": slides}},
    )  # fmt: skip
    write_record(folder / outputs.RECORD, record)
    return folder
