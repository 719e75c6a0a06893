"""`description.json` of an exported folder: what the files are, their shapes, rates and digests."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ligo_cpc_snn.exporting.errors import ExportError
from ligo_cpc_snn.exporting.front_end import Port

FORMAT = 1
LARGEST = 1_000_000  # bytes
# Names are fixed: no name that a file holds becomes a path.
DESCRIPTION, README, DETECTOR = "description.json", "README.md", "detector.safetensors"
FRONT_END, SNN, COMPACT, CHECK = "front_end.stablehlo", "snn.nir", "snn_lif.nir", "check.json"
DIGESTED = (FRONT_END, SNN, COMPACT, DETECTOR)
REMEDY = "use a folder that ligo-export wrote"


@dataclass
class Strain:
    """What goes into the front end: strain whitened with its own power spectral density."""

    detectors: list[str] = field(default_factory=list)
    sample_rate_hz: int = 0
    band_low_hz: float = 0.0
    band_high_hz: float = 0.0
    filter_seconds: float = 0.0
    psd_segment_seconds: float = 0.0
    normalisation: str = (
        "in the band noise has the density of white noise of unit variance, so that the norm of a "
        "whitened template is its optimal SNR"
    )


@dataclass
class Program:
    """The front end: called for each detector, or once for all of them (`per`)."""

    per: str = "detector"
    frame_samples: int = 0
    frame_seconds: float = 0.0
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    keys: list[list[int]] = field(default_factory=list)
    platforms: list[str] = field(default_factory=list)
    first_state: str = "zeros"
    dimension: str = "f is the number of frames of a chunk, 1 or more"


@dataclass
class Layer:
    """A layer of spiking neurons."""

    neuron: str = ""
    width: int = 0
    threshold: float = 0.0


@dataclass
class Network:
    """The spiking network; its input channels are the calls' spikes side by side."""

    channels: int = 0
    dt_seconds: float = 0.0
    layers: list[Layer] = field(default_factory=list)
    reset: str = "subtract"
    lag_frames: int = 0  # by which the graph answers before the network it was made from
    compact: bool = False  # whether snn_lif.nir is there
    compact_why_not: str = ""


@dataclass
class Description:
    """All of it; `sha256` is of each file that is read back."""

    format: int = FORMAT
    name: str = ""
    strain: Strain = field(default_factory=Strain)
    front_end: Program = field(default_factory=Program)
    snn: Network = field(default_factory=Network)
    weights: str = "float32"
    weights_part: str = "snn"
    time_offset_seconds: float = 0.0  # of the statistic's peak after the merger
    warm_up_seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the JSON."""
        return json.dumps(asdict(self), indent=2, allow_nan=False) + "\n"


def digest(body: bytes) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def read_description(folder: Path) -> Description:
    """Return the description of a folder, its types checked and its files' digests compared.

    Raises:
        ExportError: a file is missing, damaged, or of another format.
    """
    path = folder / DESCRIPTION
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise ExportError(
            f"{path} is missing or larger than {LARGEST} bytes: {REMEDY} (give its folder)"
        )
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(tree, dict):
            raise ValueError("expected an object")
        merged = OmegaConf.merge(OmegaConf.structured(Description), OmegaConf.create(tree))
        found = OmegaConf.to_object(merged)
    except (OmegaConfBaseException, ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ExportError(f"{path} cannot be read ({reason}): {REMEDY}") from error
    assert isinstance(found, Description)
    if found.format != FORMAT:
        raise ExportError(
            f"{path} has format {found.format}, this version reads {FORMAT}: install the version "
            "of ligo_cpc_snn that wrote it"
        )
    _check_digests(folder, found)
    return found


def _check_digests(folder: Path, found: Description) -> None:
    for name in DIGESTED:
        if name == COMPACT and not found.snn.compact:
            continue
        path = folder / name
        if not path.is_file() or digest(path.read_bytes()) != found.sha256.get(name):
            raise ExportError(
                f"{path} is missing or does not match its SHA-256 in {DESCRIPTION}: export again"
            )
