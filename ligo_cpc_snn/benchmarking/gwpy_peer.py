"""gwpy's whitening."""

from concurrent.futures import Executor
from functools import partial
from typing import Any

import numpy as np

from ligo_cpc_snn.benchmarking.data_setting import LONG_SECONDS, Candidate, DataSetting

WINDOWS, LONG_STRETCHES = 8, 2


def whitening(
    setting: DataSetting, filter_seconds: float, threads: Executor
) -> dict[float, list[Candidate]]:
    """Return its whitening by the seconds of strain that it is given.

    `TimeSeries.whiten` is given the density, so it estimates none, and designs its filter in
    every call: it has no way to keep one.
    """
    from gwpy.frequencyseries import FrequencySeries
    from gwpy.timeseries import TimeSeries

    found = {}
    for length, count in {setting.window_seconds: WINDOWS, LONG_SECONDS: LONG_STRETCHES}.items():
        rate = setting.sample_rate_hz
        f = np.fft.rfftfreq(round(length * rate), 1 / rate)
        asd = FrequencySeries(setting.curves[0].at(f), df=1 / length)
        series = [TimeSeries(s, sample_rate=rate) for s in setting.strain(length)] * count

        def one(strain: Any, asd: Any = asd) -> Any:
            return strain.whiten(asd=asd, fduration=filter_seconds, highpass=setting.lowest_hz)

        def run(one: Any = one, series: Any = series) -> list[Any]:
            return list(threads.map(one, series))

        how = "TimeSeries.whiten, density given"
        found[length] = [Candidate("gwpy", how, len(series), partial(run))]
    return found
