"""The roots there are to compose: a schema, a file of conf/, groups of files, checks, help."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from ligo_cpc_snn.config import search_checks
from ligo_cpc_snn.config.campaign_schema import CampaignConfig
from ligo_cpc_snn.config.checks import CHECKS
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.config.search_schema import SearchConfig

T = TypeVar("T")


class Group(NamedTuple):
    """A folder of conf/ whose files are chosen by name."""

    package: str  # where the keys of its files stand; Hydra reads it from their first line
    title: str  # in --help


@dataclass(frozen=True)
class Root(Generic[T]):
    """What a command composes and how its help is worded.

    Args:
        file: conf/<file>.yaml; its defaults begin with `schema`.
        schema: dataclass of all settings.
        groups: by the name of their folder.
        checks: of several sections together; each yields the messages of what it finds.
        usage: what may follow the command.
        options: lines of options of this command alone.
        examples: arguments, without the command.
        sweeps: whether --multirun makes one run for each combination.
        folder: the setting that says where a run's results go.
    """

    file: str
    schema: type[T]
    groups: Mapping[str, Group] = field(default_factory=dict)
    checks: tuple[Callable[[Any], Iterator[str]], ...] = ()
    usage: str = "[key=value ...] [options]"
    options: str = ""
    examples: tuple[str, ...] = ()
    sweeps: bool = False
    folder: str = "run_dir"

    def folder_of(self, config: Any) -> str:
        """Return the folder that a run alone writes to; parts of a search have their own."""
        part = getattr(config, "part", None)
        return f"{getattr(config, self.folder)}{f' part {part}' if part else ''}"


_MULTIRUN = """
  -m, --multirun     one run for each combination of values given as key=a,b,c, in
                     multirun/<name>/0, 1, ...; hydra/launcher=local, ray or slurm says where"""

TRAINING = Root(
    file="config",
    schema=Config,
    groups={
        "experiment": Group("_global_", "experiments"),
        "population": Group("data.signals", "populations of sources (data.signals)"),
        "sweep": Group("_global_", "sweeps: many runs"),
    },
    checks=CHECKS,
    usage="[+experiment=NAME] [+population=NAME] [+sweep=NAME] [key=value ...] [options]",
    options=_MULTIRUN,
    examples=(
        "+experiment=quickstart",
        "+experiment=quickstart name=louder seed=1 training.finetune.steps=2000",
        "+experiment=quickstart model.snn.widths=[256,128] runtime.platform=cpu",
        "-m +experiment=quickstart seed=0,1,2",
        "+experiment=quickstart +sweep=learning_rate hydra/launcher=ray",
    ),
    sweeps=True,
)

SEARCH = Root(
    file="search",
    schema=SearchConfig,
    checks=search_checks.CHECKS,
    usage="[FILE or FOLDER ...] [--detector NAME] [--event NAME] [key=value ...] [options]",
    options="""
  --detector X       a shipped detector, a file of weights, or the folder of a training run
  --event NAME       of GWOSC, as GW150914; may be given several times
  --start, --end     GPS seconds of a span of GWOSC's strain
  --follow DIR       watch a folder for new files and print triggers as JSON lines
  --output DIR       folder of the results; the same search continues there
  --list-detectors   print the detectors that come with the package
  -m part=1/4,2/4,3/4,4/4  search in four jobs, by hydra/launcher=local, ray or slurm; the same
                     command without -m and part= puts them together""",
    examples=(
        "--detector bbh_o3 --event GW150914",
        "--detector bbh_o3 H-H1_LOSC_4_V2-1126259446-32.hdf5 L-L1_LOSC_4_V2-1126259446-32.hdf5",
        "--detector bbh_gaussian foreground.hdf --output ds1 background.slides=200",
        "--detector runs/gw150914 --start 1187008512 --end 1187012608",
        "--detector bbh_o3 --follow /data/online",
    ),
    sweeps=True,
    folder="output_dir",
)

EVALUATION = Root(
    file="evaluate",
    schema=CampaignConfig,
    groups={"population": Group("data.signals", "populations of sources (data.signals)")},
    usage="[+population=NAME] [key=value ...] [options]",
    examples=(
        "+population=mlgwsc1_ds1 searches=[bbh_gaussian,matched_filter] published=ds1",
        "+population=mlgwsc1_ds3 data.psd.kind=drawn searches=[bbh_o3] published=ds3",
    ),
)
