"""Checks of the data section: detectors, lengths, files and times."""

import re
from collections.abc import Iterator
from pathlib import Path

from ligo_cpc_snn.config.data_schema import Source
from ligo_cpc_snn.config.errors import suggest
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
    """A stretch loses half the filter at each edge and must still hold a window."""
    data = cfg.data
    needed = data.window_seconds + data.filter_seconds
    welch = 2 * data.psd_segment_seconds
    if data.source is Source.synthetic:
        lengths = {
            "data.synthetic.seconds": data.synthetic.seconds,
            "data.synthetic.validation_seconds": data.synthetic.validation_seconds,
        }
    else:
        lengths = {"data.real.minimum_seconds": data.real.minimum_seconds}
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
        if cfg.data.source is Source.synthetic and not Path(file).expanduser().is_file():
            yield f"data.synthetic.psd_files.{name}={file}: there is no such file"


def _real_source(cfg: Config) -> Iterator[str]:
    data = cfg.data
    if data.source is not Source.real:
        return
    span = data.gwosc.start is not None and data.gwosc.end is not None
    if data.strain_dir is None and not data.gwosc.events and not span:
        yield (
            "data.source=real without strain: give data.strain_dir, or data.gwosc.events, or "
            "data.gwosc.start and end"
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
    if (gwosc.start is None) != (gwosc.end is None):
        yield (
            f"data.gwosc.start={gwosc.start} and end={gwosc.end}: expected both GPS times or none"
        )
    if gwosc.start is not None and gwosc.end is not None and gwosc.start >= gwosc.end:
        yield f"data.gwosc.start={gwosc.start}: expected less than end={gwosc.end}"
    if not gwosc.host.startswith(("http://", "https://")):
        yield f"data.gwosc.host={gwosc.host}: expected an address with http:// or https://"
    for span in cfg.data.real.exclude_gps:
        parts = re.fullmatch(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)", span)
        if parts is None or float(parts[1]) >= float(parts[2]):
            yield (
                f"data.real.exclude_gps has {span!r}: expected start-end in GPS seconds, such as "
                "1126259446-1126259478"
            )


CHECKS = (
    _detectors,
    _whitening,
    _noise_lengths,
    _psd_files,
    _real_source,
    _gps_spans,
)
