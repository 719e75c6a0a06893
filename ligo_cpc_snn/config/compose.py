"""From overrides to a checked `Config`, or another root, without JAX."""

from pathlib import Path
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ligo_cpc_snn.config import checks, confidential, overrides
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.fields import check_value
from ligo_cpc_snn.config.roots import TRAINING, Root
from ligo_cpc_snn.config.schema import Config

T = TypeVar("T")

VERSION_BASE = "1.3"  # of Hydra's behaviour


def config_dir() -> Path:
    """Return the folder of configs: packed in an installed wheel, else the checkout's.

    Raises:
        ConfigError: there is neither.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise ConfigError(
        f"no config.yaml in {package / 'conf'} or {package.parent / 'conf'}: install the package "
        "again"
    )


def register_schema(root: Root[Any] = TRAINING) -> None:
    """Tell Hydra the types of all settings; each root is composed with its own."""
    ConfigStore.instance().store(name="schema", node=root.schema)


def load(arguments: list[str]) -> Config:
    """Compose and check a config.

    Args:
        arguments: overrides such as ``experiment=quickstart``, ``data.window_seconds=2``.

    Returns:
        The config with all checks passed.

    Raises:
        ConfigError: one line that names key, value, expectation and the nearest right key.
    """
    return load_root(arguments, TRAINING)


def load_root(arguments: list[str], root: Root[T]) -> T:
    """Compose and check the settings of another root than training's, as `load` does."""
    return to_object(compose_tree(arguments, root), root)


def compose_tree(arguments: list[str], root: Root[Any] = TRAINING) -> DictConfig:
    """Compose the tree of settings; types and keys are checked, combinations are not.

    Raises:
        ConfigError: as `load`.
    """
    conf = config_dir()
    parsed = overrides.parse(arguments)
    overrides.refuse_sweeps(parsed, root)
    overrides.check(parsed, conf, root)
    overrides.check_files(conf, parsed, root)
    return compose_checked(overrides.normalise(parsed, conf, root), conf, root)


def compose_checked(arguments: list[str], conf: Path, root: Root[Any] = TRAINING) -> DictConfig:
    """Compose overrides that were checked and normalised."""
    register_schema(root)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf), version_base=VERSION_BASE):
            return compose(root.file, overrides=arguments)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(f"config cannot be composed: {error}") from error


def to_object(tree: DictConfig, root: Root[T]) -> T:
    """Turn a composed tree into the dataclasses of its root and run every check.

    Raises:
        ConfigError: as `load`.
    """
    try:
        # Interpolations are resolved first, so that the walk sees values.
        plain: Any = OmegaConf.to_container(tree, resolve=True, enum_to_str=True)
        confidential.refuse(plain)
        for key, value in plain.items():
            check_value(key, value, "the composed config", root.schema)
        config = OmegaConf.to_object(tree)
    except ConfigError:
        raise
    except (OmegaConfBaseException, ValueError) as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    if not isinstance(config, root.schema):
        name = root.schema.__name__
        raise ConfigError(f"composed config is a {type(config).__name__}, expected {name}")
    checks.check(config, root.checks)
    return config
