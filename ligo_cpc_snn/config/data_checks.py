"""Checks of the data section: detectors, lengths, files and times."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ligo_cpc_snn.config.data_schema import PsdKind, Source
from ligo_cpc_snn.config.errors import suggest
from ligo_cpc_snn.config.glitch_bands import band_fault
from ligo_cpc_snn.config.schema import Config

DETECTORS = ("H1", "L1", "V1", "K1")


def _detectors(cfg: Config) -> Iterator[str]:
    names = cfg.data.detectors
    if not names:
        yield f"data.detectors=[]: expected one or more of {', '.join(DETECTORS)}"
    for name in names:
        if name not in DETECTORS:
            hint = suggest(name.upper(), DETECTORS)
            yield f"data.detectors has {name}: expected names among {', '.join(DETECTORS)}{hint}"
    if len(set(names)) < len(names):
        yield f"data.detectors={names}: each detector may stand there once"


def _whitening(cfg: Config) -> Iterator[str]:
    data = cfg.data
    if not 0 < data.filter_seconds <= data.psd_segment_seconds:
        yield (
            f"data.filter_seconds={data.filter_seconds}: expected more than 0 and at most "
            f"data.psd_segment_seconds={data.psd_segment_seconds}, the PSD resolves no more"
        )


def _noise_lengths(cfg: Config) -> Iterator[str]:
    """A stretch loses half of each filter at each edge and must still hold a window."""
    data = cfg.data
    # Recolouring filters once more than whitening.
    edges = data.filter_seconds * (2 if data.source is Source.recoloured else 1)
    needed = data.window_seconds + edges
    welch = 2 * data.psd_segment_seconds
    if data.source is Source.synthetic:
        lengths = {
            "data.synthetic.seconds": data.synthetic.seconds,
            "data.synthetic.validation_seconds": data.synthetic.validation_seconds,
        }
    else:
        lengths = {
            "data.real.minimum_seconds": data.real.minimum_seconds,
            "data.real.block_seconds": data.real.block_seconds,
        }
    for key, seconds in lengths.items():
        if seconds < needed:
            yield (
                f"{key}={seconds}: expected at least {needed} s, a window (data.window_seconds="
                f"{data.window_seconds}) and the edges that whitening crops (data.filter_seconds="
                f"{data.filter_seconds})"
            )
        if seconds < welch:
            yield (
                f"{key}={seconds}: expected at least {welch} s, two Welch segments "
                f"(data.psd_segment_seconds={data.psd_segment_seconds})"
            )


def _psd_files(cfg: Config) -> Iterator[str]:
    """Files are opened by the run; here only that they are there and are asked for."""
    for name, file in cfg.data.synthetic.psd_files.items():
        if name not in cfg.data.detectors:
            yield (
                f"data.synthetic.psd_files has {name}: expected names among data.detectors="
                f"{cfg.data.detectors}"
            )
        if cfg.data.source is not Source.real and not Path(file).expanduser().is_file():
            yield f"data.synthetic.psd_files.{name}={file}: there is no such file"


def _psd_sets(cfg: Config) -> Iterator[str]:
    """What is drawn or perturbed, and whether noise and signals are enough for so many."""
    data, psd = cfg.data, cfg.data.psd
    if psd.kind is PsdKind.fixed:
        return
    if data.source is Source.real:
        yield (
            f"data.psd.kind={psd.kind.value} with data.source=real: recorded noise is whitened "
            "with its own densities; use data.source=recoloured, or data.psd.kind=fixed"
        )
    if psd.kind is PsdKind.drawn:
        yield from _missing_lists(cfg)
    banks = {
        "data.signals.bank_size": data.signals.bank_size,
        "data.signals.validation_bank_size": data.signals.validation_bank_size,
    }
    for key, size in banks.items():
        if size < psd.count:
            yield f"{key}={size}: expected data.psd.count={psd.count} or more, a signal for each"
    for key in ("seconds", "validation_seconds"):
        seconds = getattr(data.synthetic, key)
        if data.source is Source.synthetic and seconds < psd.count * data.window_seconds:
            yield (
                f"data.synthetic.{key}={seconds}: expected {psd.count * data.window_seconds:g} "
                f"or more, a window for each of data.psd.count={psd.count}"
            )


def _missing_lists(cfg: Config) -> Iterator[str]:
    for name in cfg.data.detectors:
        if cfg.data.source is Source.synthetic and not cfg.data.psd.files.get(name):
            yield (
                f"data.psd.kind=drawn without data.psd.files.{name}: expected a list of files of "
                "Hz and strain/sqrt(Hz) to draw from"
            )


def _drawn_files(cfg: Config) -> Iterator[str]:
    """Files that are not there, or that nothing would be drawn from."""
    data, files = cfg.data, cfg.data.psd.files
    for name, of_detector in files.items():
        if name not in data.detectors:
            yield f"data.psd.files has {name}: expected names among data.detectors={data.detectors}"
        for file in of_detector:
            if not Path(file).expanduser().is_file():
                yield f"data.psd.files.{name} has {file}: there is no such file"
    unused = data.psd.kind is not PsdKind.drawn or data.source is Source.real
    if unused and any(files.values()):
        yield (
            f"data.psd.files is given, but with data.psd.kind={data.psd.kind.value} and "
            f"data.source={data.source.value} nothing is drawn from it: leave it out, or give "
            "data.psd.kind=drawn and data.source=synthetic or recoloured"
        )


def _real_source(cfg: Config) -> Iterator[str]:
    data = cfg.data
    if data.source is Source.synthetic:
        return
    gwosc = data.gwosc
    if data.strain_dir is None and not gwosc.events and gwosc.span is None and gwosc.run is None:
        yield (
            f"data.source={data.source.value} without strain: give data.strain_dir, or "
            "data.gwosc.events, or data.gwosc.start with end or hours"
        )
    if data.strain_dir is not None and not Path(data.strain_dir).expanduser().is_dir():
        yield f"data.strain_dir={data.strain_dir}: there is no such folder"
    events = data.real.events_file
    if events is not None and not Path(events).expanduser().is_file():
        yield f"data.real.events_file={events}: there is no such file"
    if data.real.psd_seconds < 2 * data.psd_segment_seconds:
        yield (
            f"data.real.psd_seconds={data.real.psd_seconds}: expected at least two Welch segments "
            f"(data.psd_segment_seconds={data.psd_segment_seconds})"
        )


def _gps_spans(cfg: Config) -> Iterator[str]:
    gwosc = cfg.data.gwosc
    ends = sum(end is not None for end in (gwosc.end, gwosc.hours))
    if ends != (gwosc.start is not None):
        yield (
            f"data.gwosc.start={gwosc.start}, end={gwosc.end} and hours={gwosc.hours}: expected "
            "both GPS times, or start and hours, or none of them"
        )
    elif gwosc.span is not None and gwosc.span[0] >= gwosc.span[1]:
        yield f"data.gwosc.start={gwosc.start}: expected less than end={gwosc.span[1]}"
    address = urlsplit(gwosc.host)
    if address.scheme not in ("http", "https") or not address.hostname:
        yield f"data.gwosc.host={gwosc.host}: expected an address with https://"
    for span in cfg.data.real.exclude_gps:
        parts = re.fullmatch(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)", span)
        if parts is None or float(parts[1]) >= float(parts[2]):
            yield (
                f"data.real.exclude_gps has {span!r}: expected start-end in GPS seconds, such as "
                "1126259446-1126259478"
            )


def _negatives(cfg: Config) -> Iterator[str]:
    """The kinds of examples without a signal exclude each other."""
    decoy, glitches = cfg.data.signals.decoy_fraction, cfg.data.glitches
    others = glitches.synthetic_fraction + glitches.real_fraction + glitches.hard_fraction
    if decoy + others > 1 + 1e-6:
        yield (
            f"data.signals.decoy_fraction={decoy} and data.glitches' synthetic, real and hard "
            f"fractions, {others:g}: expected at most 1 together"
        )
    if glitches.synthetic_fraction and not glitches.families:
        yield (
            "data.glitches.families=[]: expected one or more, or data.glitches.synthetic_fraction=0"
        )
    for family in glitches.families if glitches.synthetic_fraction else ():
        fault = band_fault(family, cfg.data.band_hz)
        if fault is not None:
            yield fault
    if glitches.real_fraction and cfg.data.source is Source.synthetic:
        yield (
            f"data.glitches.real_fraction={glitches.real_fraction} with data.source=synthetic: "
            "simulated noise has no transients; use data.glitches.synthetic_fraction, or "
            "data.source=real"
        )


CHECKS = (
    _detectors,
    _whitening,
    _noise_lengths,
    _psd_files,
    _drawn_files,
    _psd_sets,
    _real_source,
    _gps_spans,
    _negatives,
)
