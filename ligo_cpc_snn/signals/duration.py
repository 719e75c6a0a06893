"""Whether signals fit the length that their waveforms are made in."""

from ligo_cpc_snn.config.durations import (
    chirp_time,
    duration_fault,
    longest_burst,
    longest_chirp_time,
)
from ligo_cpc_snn.config.signals_schema import SignalsConfig

__all__ = ["check_duration", "chirp_time", "longest_burst", "longest_chirp_time"]


def check_duration(signals_cfg: SignalsConfig, lowest_hz: float, filter_seconds: float) -> None:
    """Raise a `ValueError` if a signal of the population does not fit `duration_seconds`."""
    fault = duration_fault(signals_cfg, lowest_hz, filter_seconds)
    if fault is not None:
        raise ValueError(fault)
