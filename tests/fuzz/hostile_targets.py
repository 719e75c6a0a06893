"""Everything here that reads a file of somebody else's, with small sound files to start from.

Used by the property tests beside it and by `scripts/fuzz.py`, which looks for more with Atheris.
"""

import hashlib
import importlib.util
import io
import json
import logging
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from gwosc_files import RATE, write_file
from igwn_segments import segment

from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.reading import hdf5
from ligo_cpc_snn.strain.download import BrokenFileError

REFUSED = (UserError, ConfigError)
START = 1_000_000_000
CHILDREN: list[Any] = []  # the process that reads front ends
GWF = importlib.util.find_spec("gwframe") is not None


class Target(NamedTuple):
    """Something that reads a file: where it expects it, sound files, and the reader."""

    name: str
    file: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], Any]
    refused: tuple[type[Exception], ...] = REFUSED


def feed(target: Target, body: bytes, folder: Path) -> Exception | None:
    """Let a target read these bytes; return what it was refused with, None if it was taken.

    Anything but a refusal in one line goes up.
    """
    path = folder / target.file
    path.write_bytes(body)
    hdf5._look_through.cache_clear()  # files of one path, length and instant
    try:
        target.read(path)
    except target.refused as error:
        text = str(error)
        if not text or "\n" in text or not text.isprintable() or len(text) > 2000:
            raise AssertionError(f"{target.name}: no line to print: {text!r}") from error
        return error
    return None


def _hdf5(fill: Callable[[h5py.File], None]) -> bytes:
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        fill(file)
    return body.getvalue()


def _noise(size: int = 512) -> np.ndarray:
    return 1e-21 * np.random.default_rng(0).standard_normal(size)


def gwpy_layout(file: h5py.File) -> None:
    data = file.create_dataset("H1:STRAIN", data=_noise(), compression="gzip", shuffle=True)
    data.attrs.update({"x0": float(START), "dx": 1 / 256, "channel": "H1:STRAIN"})


def context_layout(file: h5py.File) -> None:
    for name in ("H1", "L1"):
        data = file.create_dataset(f"{name}/strain", data=_noise())
        span = {"valid_start": START + 0.1, "valid_end": START + 1.9, "low_rms_bins_s": [0.5, 1.0]}
        data.attrs.update({"x0": float(START), "dx": 1 / 256, **span})
    file.attrs.update({"event": "GW150914", "tgps": START + 1.0})


def challenge_layout(file: h5py.File) -> None:
    for name in ("H1", "L1"):
        data = file.create_dataset(f"{name}/{START}", data=_noise())
        data.attrs.update({"start_time": float(START), "delta_t": 1 / 256})
    file.attrs["settings_hash"] = "0123"


def events_layout(file: h5py.File) -> None:
    for name in ("time", "stat", "var"):
        file[name] = np.arange(5.0)


def injections_layout(file: h5py.File) -> None:
    for name in ("tc", "distance", "mass1", "mass2"):
        file[name] = np.arange(1.0, 6.0)
    file.attrs["approximant"] = "IMRPhenomD"


@cache
def strain_seeds() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        strain = _noise(RATE)
        gwosc = write_file(Path(folder), "H1", START, 1, strain=strain).read_bytes()
    return [gwosc, *map(_hdf5, (gwpy_layout, context_layout, challenge_layout))]


def download_seeds() -> list[bytes]:
    return strain_seeds()[:1]


def read_strain_all(path: Path) -> None:
    from ligo_cpc_snn.strain.files import file_events, read_strain, survey

    survey(path, ["H1"])
    if path.suffix != ".gwf":  # those of HDF5 alone name events
        file_events(path)
    read_strain(path, ["H1", "L1"])
    read_strain(path, ["H1"], (START + 0.25, START + 0.75))


def read_downloaded(path: Path) -> None:
    from ligo_cpc_snn.strain.content import read_content
    from ligo_cpc_snn.strain.sources import SourceFile

    read_content(path, SourceFile("https://gwosc.org/x", "H1", START, 1))


def read_piece_of(path: Path) -> None:
    """A file of the cache whose name is right: the digest of whatever bytes it has."""
    from ligo_cpc_snn.strain import pieces

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    found = pieces.Piece(path, "H1", START, 2, digest)
    pieces.usable(found)
    pieces.read_piece(found)


@cache
def piece_seeds() -> list[bytes]:
    from ligo_cpc_snn.strain import pieces
    from ligo_cpc_snn.strain.segments import StrainSegment

    with tempfile.TemporaryDirectory() as folder:
        parts = [StrainSegment("H1", float(START), 256, _noise(), "simulated")]
        span = segment(START, START + 2)
        made = pieces.write_piece(Path(folder), "H1", span, parts, "https://gwosc.org/x")
        return [made.path.read_bytes()]


@cache
def frame_seeds() -> list[bytes]:
    gwframe = importlib.import_module("gwframe")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "H-H1_GWOSC-1000000000-1.gwf"
        names = ("STRAIN", "DQMASK", "INJMASK")
        values = (_noise(256), np.full(1, 127, np.int32), np.full(1, 31, np.int32))
        channels = {f"H1:GWOSC-4KHZ_R1_{n}": v for n, v in zip(names, values, strict=True)}
        rates = {name: len(v) for name, v in channels.items()}
        gwframe.write(path, channels, start=float(START), sample_rate=rates, name="H1")
        return [path.read_bytes()]


def read_challenge(path: Path) -> None:
    from ligo_cpc_snn.evaluation import challenge

    for read in (
        challenge.read_events,
        challenge.read_injections,
        challenge.segment_spans,
        challenge.settings_of,
    ):
        try:
            read(path)
        except UserError:
            if read is challenge.settings_of:
                raise


@cache
def trigger_seeds() -> list[bytes]:
    from ligo_cpc_snn.search import outputs
    from ligo_cpc_snn.search.triggers import Triggers

    found = Triggers(START + np.arange(3.0), np.arange(3.0), np.ones((3, 2)))
    table = outputs.unranked(found, ["H1", "L1"])._replace(nearest_event=("a", "b", "c"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "triggers.hdf5"
        outputs.write_triggers(path.with_suffix(".csv"), path, table, {"detector": "small"})
        return [path.read_bytes()]


def read_trigger_table(path: Path) -> None:
    from ligo_cpc_snn.reports.search_files import read_search
    from ligo_cpc_snn.search.outputs import read_triggers

    read_search(path.parent)  # says what cannot be read in its page
    read_triggers(path)


def read_events_table(path: Path) -> None:
    from ligo_cpc_snn.strain.gwosc import read_events_csv

    read_events_csv(path)


@cache
def array_seeds() -> list[bytes]:
    plain, packed = io.BytesIO(), io.BytesIO()
    arrays = {"statistic": np.arange(9.0), "seconds": np.float64(3), "slides": np.int64(2)}
    np.savez(plain, **arrays, zero_lag_seconds=np.float64(1))
    np.savez_compressed(packed, **arrays, names=np.array(["a", "b"]))
    return [plain.getvalue(), packed.getvalue()]


def read_arrays(path: Path) -> None:
    from ligo_cpc_snn.reading.arrays import load_arrays

    load_arrays(path)


@cache
def graph_seeds() -> list[bytes]:
    import nir
    from exported import detector_of

    from ligo_cpc_snn.exporting.graph import snn_graph

    with tempfile.TemporaryDirectory() as folder:
        nir.write(Path(folder) / "x.nir", snn_graph(detector_of().network.snn, 1 / 32))
        return [(Path(folder) / "x.nir").read_bytes()]


def read_nir(path: Path) -> None:
    from ligo_cpc_snn.exporting.hostile import read_graph
    from ligo_cpc_snn.exporting.rebuild import network_of

    network_of(read_graph(path))


@cache
def detector_seeds() -> list[bytes]:
    from exported import detector_of

    from ligo_cpc_snn.search.weights import save_detector

    with tempfile.TemporaryDirectory() as folder:
        return [save_detector(Path(folder) / "x.safetensors", detector_of()).read_bytes()]


def read_weights(path: Path) -> None:
    from ligo_cpc_snn.search.weights import read_detector

    read_detector(path)


def resealed(settings: bytes) -> bytes:
    """Return a detector's file with these settings and a digest that fits them."""
    from safetensors.numpy import load, save

    from ligo_cpc_snn.search.weights import FORMAT, KEY, _digest

    arrays, text = load(detector_seeds()[0]), settings.decode("utf-8", "replace")
    header = {"format": FORMAT, "sha256": _digest(text, arrays), "detector": text}
    return save(arrays, {KEY: json.dumps(header)})


def settings_text() -> bytes:
    head = detector_seeds()[0]
    length = int.from_bytes(head[:8], "little")
    told = json.loads(head[8 : 8 + length])["__metadata__"]["ligo_cpc_snn"]
    return json.loads(told)["detector"].encode()


def read_settings_of(path: Path) -> None:
    path.write_bytes(resealed(path.read_bytes()))
    read_weights(path)


@cache
def front_end() -> Any:
    from exported import detector_of

    from ligo_cpc_snn.exporting.front_end import export_front_end

    return export_front_end(detector_of().network)


@cache
def front_end_arrays() -> list[np.ndarray]:
    """A frame of strain and the state before it."""
    from exported import detector_of

    from ligo_cpc_snn.exporting.front_end import initial_leaves

    detector = detector_of()
    return [np.zeros(detector.frame_samples, np.float32), *initial_leaves(detector.network)[0]]


def read_front_end(path: Path) -> None:
    """Load and run in one child, another where it has died: importing JAX takes seconds."""
    from ligo_cpc_snn.exporting.front_end import load_front_end
    from ligo_cpc_snn.exporting.front_end_process import FrontEndProcess

    if not (CHILDREN and CHILDREN[-1].alive):
        CHILDREN[:] = [FrontEndProcess()]
    made = front_end()
    chunk = load_front_end(path.read_bytes(), made.inputs, made.outputs, CHILDREN[-1])
    chunk(*front_end_arrays())


def read_description_of(path: Path) -> None:
    from ligo_cpc_snn.exporting.description import read_description

    read_description(path.parent)


def description_seeds() -> list[bytes]:
    from ligo_cpc_snn.exporting.description import Description

    return [Description(name="small").text().encode()]


def read_config_of(path: Path) -> None:
    from ligo_cpc_snn.config.save import load_saved
    from ligo_cpc_snn.reports.run_files import read_run

    load_saved(path.parent)
    read_run(path.parent)


@cache
def config_seeds() -> list[bytes]:
    from omegaconf import OmegaConf

    from ligo_cpc_snn.config.schema import Config

    whole = OmegaConf.to_yaml(OmegaConf.structured(Config), resolve=True).encode()
    return [b"name: x\ndata:\n  detectors: [H1, L1]\n  window_seconds: 2.0\n", whole]


def read_overrides(path: Path) -> None:
    """Parse, check and normalise; composing is Hydra's and slow, a property test does it."""
    from ligo_cpc_snn.config import overrides
    from ligo_cpc_snn.config.compose import config_dir

    parsed = overrides.parse(path.read_bytes().decode("utf-8", "replace").split("\0"))
    overrides.refuse_sweeps(parsed)
    overrides.check(parsed, config_dir())
    overrides.normalise(parsed, config_dir())


def override_seeds() -> list[bytes]:
    return [
        b"+experiment=quickstart\0seed=3\0model.snn.widths=[8,4]",
        b"data.window_seconds=2.0\0name='a b'\0data.detectors=[H1,L1]",
        b"++training.batch_size=32\0resume=never",
    ]


def read_catalogue(path: Path) -> None:
    """The index of events and runs, sealed again: bytes that fit their digest."""
    from ligo_cpc_snn.strain.catalogue import Catalogue, _digest

    try:
        lists = json.loads(path.read_bytes())
        body = json.dumps({"sha256": _digest(lists), "lists": lists})
        path.write_text(body)
    except (ValueError, RecursionError):
        pass  # not JSON: read as it is
    known = Catalogue(path.parent, None)
    for ask in (known.events, known.runs, lambda: known.event_gps("GW150914")):
        try:
            ask()
        except UserError:
            continue


def catalogue_seeds() -> list[bytes]:
    kinds = {
        "events": {"asked": 1e9, "values": {"GW150914": 1126259462.4}},
        "runs": {"asked": 1e9, "values": {"O1": [1126051217, 1137254417, ["H1", "L1"]]}},
        "asked": {"asked": 1e9, "values": {"GW150914": 1126259462.4}},
    }
    return [json.dumps(kinds).encode()]


def read_notes(path: Path) -> None:
    """What tells of a download under way, and of seconds in use."""
    import threading

    from ligo_cpc_snn.strain.addresses import GuardedSession
    from ligo_cpc_snn.strain.download import Download
    from ligo_cpc_snn.strain.pins import _spans

    _spans(path)
    download = Download(
        "https://gwosc.org/x",
        path.with_suffix(".part"),
        GuardedSession("https://gwosc.org"),
        take=lambda _: None,
        progress=lambda *_: None,
        stop=threading.Event(),
    )
    download._noted()


def note_seeds() -> list[bytes]:
    version = {"url": "https://gwosc.org/x", "etag": '"a"', "modified": None, "length": 3}
    return [json.dumps(version).encode(), json.dumps({"H1": [[1, 2], [5, 9]]}).encode()]


TARGETS = [
    Target("overrides", "overrides", override_seeds, read_overrides),
    Target("config", "config.yaml", config_seeds, read_config_of),
    Target("strain", "H-H1_X.hdf5", strain_seeds, read_strain_all),
    Target("download", "part", download_seeds, read_downloaded, (*REFUSED, BrokenFileError)),
    Target("piece", "piece.hdf5", piece_seeds, read_piece_of),
    Target(
        "challenge",
        "x.hdf",
        lambda: [_hdf5(f) for f in (events_layout, injections_layout, challenge_layout)],
        read_challenge,
    ),
    Target("triggers", "triggers.hdf5", trigger_seeds, read_trigger_table),
    Target("events", "events.csv", lambda: [b"name,gps,version\nGW1,1e9,2\n"], read_events_table),
    Target("arrays", "x.npz", array_seeds, read_arrays),
    Target("graph", "x.nir", graph_seeds, read_nir),
    Target("weights", "x.safetensors", detector_seeds, read_weights),
    Target("settings", "y.safetensors", lambda: [settings_text()], read_settings_of),
    Target("front_end", "front_end.stablehlo", lambda: [front_end().program], read_front_end),
    Target("description", "description.json", description_seeds, read_description_of),
    Target("catalogue", "catalogue.json", catalogue_seeds, read_catalogue),
    Target("notes", "note.json", note_seeds, read_notes),
]
FRAMES = Target("frames", "H-H1_X-1-1.gwf", frame_seeds, read_strain_all)
if GWF:
    TARGETS.append(FRAMES)


def quiet() -> None:
    """Say nothing of what is left out: fuzzing would fill the disk with it."""
    logging.disable(logging.CRITICAL)
