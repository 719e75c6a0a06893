"""The files that a search writes: events, triggers, background, record.

Each is written whole or not at all, and the same content gives the same bytes: a search that
was interrupted ends with the files of one that was not.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from jaxtyping import Bool, Float

from ligo_cpc_snn.reading.errors import FileContentError
from ligo_cpc_snn.reading.hdf5 import open_hdf5
from ligo_cpc_snn.search.triggers import Triggers
from ligo_cpc_snn.strain.replacing import write_whole

EVENTS, TRIGGERS_CSV, TRIGGERS_HDF5 = "events.hdf", "triggers.csv", "triggers.hdf5"
BACKGROUND, RECORD, CANDIDATES = "background.npz", "search.json", "candidates.npz"

CONTRIBUTION = "contribution_"  # and the detector's name
UNITS = {
    "time": "GPS s",
    "statistic": "1",
    "far_per_year": "1/yr",
    "ifar_years": "yr",
    "far_low_per_year": "1/yr",
    "far_high_per_year": "1/yr",
    "p_value": "1",
    "extrapolated": "",
    "upper_limit": "",
    "nearest_event": "",
    "nearest_event_offset_seconds": "s",
}


class TriggerTable(NamedTuple):
    """Triggers in the order of time, with what is known of each; NaN where nothing is.

    Years are Julian, of 365.25 days. The interval of the false-alarm rate is Poisson's, 90 %.
    Where `upper_limit` is true no background peak is as loud: the rate lies below the one given,
    which is the least that the background resolves, and its inverse above. Where `extrapolated`
    is true a fit to the background's tail gave it instead.
    `nearest_event` is empty, and its offset NaN, where no catalogue was at hand; the offset is
    the trigger's time minus the event's.
    """

    detectors: tuple[str, ...]
    time: Float[np.ndarray, "trigger"]
    statistic: Float[np.ndarray, "trigger"]
    contributions: Float[np.ndarray, "trigger detector"]
    far_per_year: Float[np.ndarray, "trigger"]
    ifar_years: Float[np.ndarray, "trigger"]
    far_low_per_year: Float[np.ndarray, "trigger"]
    far_high_per_year: Float[np.ndarray, "trigger"]
    p_value: Float[np.ndarray, "trigger"]
    extrapolated: Bool[np.ndarray, "trigger"]
    upper_limit: Bool[np.ndarray, "trigger"]
    nearest_event: tuple[str, ...]
    nearest_event_offset_seconds: Float[np.ndarray, "trigger"]

    def columns(self) -> dict[str, np.ndarray | tuple[str, ...]]:
        """Return the columns by name, in the order of the files."""
        shown = {name: getattr(self, name) for name in UNITS}
        contributions = {
            f"{CONTRIBUTION}{name}": self.contributions[:, i]
            for i, name in enumerate(self.detectors)
        }
        first = {name: shown.pop(name) for name in ("time", "statistic")}
        return first | contributions | shown


def unranked(triggers: Triggers, detectors: Sequence[str]) -> TriggerTable:
    """Return triggers without false-alarm rates and catalogue: those columns say nothing."""
    number = triggers.gps.size
    unknown = np.full(number, np.nan)
    return TriggerTable(
        detectors=tuple(detectors),
        time=np.asarray(triggers.gps, np.float64),
        statistic=np.asarray(triggers.statistic, np.float64),
        contributions=np.asarray(triggers.contributions, np.float64),
        far_per_year=unknown,
        ifar_years=unknown,
        far_low_per_year=unknown,
        far_high_per_year=unknown,
        p_value=unknown,
        extrapolated=np.zeros(number, bool),
        upper_limit=np.zeros(number, bool),
        nearest_event=("",) * number,
        nearest_event_offset_seconds=unknown,
    )


def write_events(
    path: str | Path,
    triggers: Triggers | TriggerTable,
    timing_seconds: float,
    more: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write an events file of the first machine-learning search mock data challenge.

    Args:
        path: of the file.
        triggers: in the order of time.
        timing_seconds: `var`, within which of an injection an event counts as finding it, s.
        more: columns beside the challenge's, named as in `UNITS`.
    """
    time = triggers.time if isinstance(triggers, TriggerTable) else triggers.gps
    columns = {
        "time": np.asarray(time, np.float64),
        "stat": np.asarray(triggers.statistic, np.float64),
        "var": np.full(np.shape(time), timing_seconds, np.float64),
    }
    units = UNITS | {"stat": "1", "var": "s"}
    write_whole(Path(path), _hdf5({**columns, **(more or {})}, units, {}))


def write_triggers(
    path_csv: str | Path,
    path_hdf5: str | Path,
    table: TriggerTable,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write the table of triggers as CSV and as HDF5.

    The HDF5 file has a 1-d dataset for each column with its attribute `unit`, and the
    attributes `detectors` and `provenance` (JSON). In the CSV what is not known is empty.

    Args:
        path_csv, path_hdf5: of the files.
        table: in the order of time.
        provenance: what made the triggers: detector, weights' hash, versions, settings; no
            date, or the same search gives different bytes.
    """
    columns = table.columns()
    write_whole(Path(path_csv), _csv(columns))
    attributes = {
        "detectors": list(table.detectors),
        "provenance": json.dumps(dict(provenance or {}), sort_keys=True, default=str),
    }
    units = {f"{CONTRIBUTION}{name}": "1" for name in table.detectors} | UNITS
    write_whole(Path(path_hdf5), _hdf5(columns, units, attributes))


def read_triggers(path: str | Path) -> TriggerTable:
    """Read triggers.hdf5 as `write_triggers` wrote it.

    Raises:
        FileNotFoundError: there is no such file.
        FileContentError: it is damaged, or no table of triggers.
    """
    with open_hdf5(path) as file:
        detectors = tuple(str(name) for name in file.attrs["detectors"])
        own = [file[f"{CONTRIBUTION}{name}"][()] for name in detectors]
        columns = {name: _column(file[name], name) for name in UNITS}
        number = columns["time"].size
        contributions = np.stack(own, axis=1) if own else np.zeros((number, 0))
        if {len(x) for x in (contributions, *columns.values())} != {number}:
            raise FileContentError(path, f"columns of several lengths, `time` has {number}")
        names = tuple(name.decode() for name in columns.pop("nearest_event"))
    return TriggerTable(
        detectors=detectors, contributions=contributions, nearest_event=names, **columns
    )


def _column(data: h5py.Dataset, name: str) -> np.ndarray:
    """Return a column if it is of the type that `write_triggers` wrote."""
    kind = {"nearest_event": "O", "extrapolated": "b", "upper_limit": "b"}.get(name, "f")
    if data.ndim != 1 or data.dtype.kind != kind:
        raise FileContentError(
            data.file.filename,
            f"column {name} is {data.dtype} of shape {data.shape}: no table of triggers",
        )
    return np.asarray(data[()])


def write_background(
    path: str | Path,
    statistic: Float[np.ndarray, "trigger"],
    *,
    seconds: float,
    slides: int,
    zero_lag_seconds: float,
) -> None:
    """Write the clustered peaks of all time slides and the time that they were found in.

    Args:
        path: of the file.
        statistic: of the peaks; stored in descending order.
        seconds: background live time, all slides together, s.
        slides: how many there were.
        zero_lag_seconds: time searched for signals, s.
    """
    body = io.BytesIO()
    np.savez(
        body,
        statistic=np.sort(np.asarray(statistic, np.float64))[::-1],
        seconds=np.float64(seconds),
        slides=np.int64(slides),
        zero_lag_seconds=np.float64(zero_lag_seconds),
    )
    write_whole(Path(path), body.getvalue())


def _csv(columns: Mapping[str, np.ndarray | tuple[str, ...]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([_cell(value) for value in row])
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    """Return a value as text that reads back as the same number; what is not known is empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return "" if np.isnan(value) else repr(float(value))


def _hdf5(
    columns: Mapping[str, np.ndarray | tuple[str, ...]],
    units: Mapping[str, str],
    attributes: Mapping[str, Any],
) -> bytes:
    body = io.BytesIO()
    with h5py.File(body, "w", track_order=True) as file:
        file.attrs.update(attributes)
        for name, values in columns.items():
            if isinstance(values, tuple):
                values = np.array(values, h5py.string_dtype())
            dataset = file.create_dataset(name, data=values, track_times=False)
            dataset.attrs["unit"] = units[name]
    return body.getvalue()
