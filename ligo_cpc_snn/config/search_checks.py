"""Checks of a search's settings that need several sections."""

from collections.abc import Iterator

from ligo_cpc_snn.config.search_schema import SearchConfig


def _one_source(cfg: SearchConfig) -> Iterator[str]:
    gwosc = cfg.strain.gwosc
    given = {
        "files (strain.files)": bool(cfg.strain.files),
        "strain of GWOSC (--event, --start)": bool(gwosc.events) or gwosc.start is not None,
        "a folder to follow (--follow)": cfg.follow is not None,
    }
    sources = [name for name, is_given in given.items() if is_given]
    if len(sources) > 1:
        yield f"{' and '.join(sources)}: expected one of them, search the others on their own"


def _span(cfg: SearchConfig) -> Iterator[str]:
    gwosc = cfg.strain.gwosc
    if gwosc.start is None and (gwosc.end is not None or gwosc.hours is not None):
        yield (
            f"strain.gwosc.end={gwosc.end} (--end) and hours={gwosc.hours}: expected "
            "strain.gwosc.start (--start) with them, in GPS s"
        )
    if gwosc.start is not None and gwosc.span is None:
        yield (
            f"strain.gwosc.start={gwosc.start} (--start): expected strain.gwosc.end (--end) or "
            "strain.gwosc.hours with it"
        )
    if gwosc.span is not None and gwosc.span[0] >= gwosc.span[1]:
        yield (
            f"strain.gwosc.start={gwosc.span[0]} (--start): expected less than the end, "
            f"{gwosc.span[1]}"
        )


CHECKS = (_one_source, _span)
