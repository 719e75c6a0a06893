"""Where trained detectors are: by a shipped one's name, a file, or a run folder. Without JAX."""

from pathlib import Path

from ligo_cpc_snn.errors import UserError

FILE = "detector.safetensors"  # in a run folder
SHIPPED = Path(__file__).resolve().parents[1] / "detectors"


class WeightsError(UserError):
    """A detector that cannot be found, read or written; the message says what to do."""


def names_in(folder: Path) -> list[str]:
    """Return the names of the detectors in a folder of shipped ones."""
    return sorted(path.stem for path in folder.glob("*.safetensors"))


def find_detector(name_or_path: str | Path, shipped: Path = SHIPPED) -> Path:
    """Return the file of a detector, or the run folder whose checkpoints hold it.

    Args:
        name_or_path: name of a shipped one, a `.safetensors` file, or a run folder.
        shipped: folder of those that come with the package.

    Raises:
        WeightsError: there is none of that name.
    """
    names = names_in(shipped)
    if str(name_or_path) in names:
        return shipped / f"{name_or_path}.safetensors"
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return path / FILE if (path / FILE).is_file() else path
    if path.is_file():
        return path
    raise WeightsError(
        f"detector {str(name_or_path)!r} is no shipped one ({', '.join(names) or 'none'}), no "
        ".safetensors file and no run folder: give one of these, or train one by "
        "python -m ligo_cpc_snn.train"
    )
