"""Which platform a run takes and which of our XLA flags go with it."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from ligo_cpc_snn.runtime.platforms import (
    ORDER,
    PlatformError,
    availability,
    jax_platforms,
    usable,
)
from ligo_cpc_snn.runtime.probe import Trial, try_flags

# JAX's page on GPU performance recommends these two.
FLAGS = {
    "cuda": ["--xla_gpu_enable_latency_hiding_scheduler=true", "--xla_gpu_triton_gemm_any=true"],
}


@dataclass(frozen=True)
class Choice:
    """A platform that was shown to start, and the flags for it that its XLA takes."""

    platform: str
    reason: str
    flags: list[str] = field(default_factory=list)  # ours, beside the user's
    unknown_flags: list[str] = field(default_factory=list)  # ours, left out


def choose_platform(asked: str, cache_dir: Path | None) -> Choice:
    """Choose the platform: LIGO_PLATFORM, then the config's, then what is here.

    Args:
        asked: by the config; ``auto`` takes the first that works.
        cache_dir: where trials are remembered; None: nowhere.

    Returns:
        The choice with its reason.

    Raises:
        PlatformError: what was asked for does not work, with what does.
    """
    source = "runtime.platform"
    if os.environ.get("LIGO_PLATFORM"):
        asked, source = os.environ["LIGO_PLATFORM"].lower(), "LIGO_PLATFORM"
    if asked not in (*ORDER, "auto"):
        raise PlatformError(f"{source}={asked}: expected auto, {', '.join(reversed(ORDER))}")
    theirs = jax_platforms()
    if theirs and asked == "auto":
        return _checked(theirs[0], "JAX_PLATFORMS", cache_dir)
    if theirs and asked not in theirs:
        raise PlatformError(
            f"{source}={asked}, but JAX_PLATFORMS={os.environ['JAX_PLATFORMS']} leaves it out: "
            "unset one of them"
        )
    return _first_that_works(cache_dir) if asked == "auto" else _checked(asked, source, cache_dir)


def _checked(platform: str, source: str, cache_dir: Path | None) -> Choice:
    """Insist on a platform."""
    found = availability(platform)
    if not found.usable:
        raise PlatformError(
            f"{source}={platform} is not usable here: {found.reason}; usable: {', '.join(usable())}"
        )
    trial = _try(platform, cache_dir)
    if trial.failure:
        others = [name for name in usable() if name != platform]
        raise PlatformError(
            f"{source}={platform} does not start: {trial.failure}; usable: {', '.join(others)}"
        )
    return _choice(platform, f"{source}={platform}", trial)


def _first_that_works(cache_dir: Path | None) -> Choice:
    passed_over: list[str] = []
    for platform in ORDER:
        found = availability(platform)
        trial = _try(platform, cache_dir) if found.usable else Trial([], [], found.reason)
        if not trial.failure:
            reason = "; ".join(["auto", *passed_over])
            return _choice(platform, reason, trial)
        passed_over.append(f"no {platform}: {trial.failure}")
    raise PlatformError(f"no platform works: {'; '.join(passed_over)}")


def _own_flags() -> list[str]:
    return os.environ.get("XLA_FLAGS", "").split()


def _name(flag: str) -> str:
    return flag.split("=")[0]


def _try(platform: str, cache_dir: Path | None) -> Trial:
    """Try the user's flags and ours, less those that the user has set otherwise."""
    own = _own_flags()
    named = {_name(flag) for flag in own}
    ours = [flag for flag in FLAGS.get(platform, []) if _name(flag) not in named]
    trial = try_flags(platform, own + ours, cache_dir)
    wrong = [flag for flag in trial.unknown if flag in own]
    if wrong:
        raise PlatformError(
            f"XLA_FLAGS has {', '.join(wrong)}, which the installed XLA does not know and would "
            "end the process for: remove it"
        )
    return trial


def _choice(platform: str, reason: str, trial: Trial) -> Choice:
    own = _own_flags()
    ours = [flag for flag in trial.accepted if flag not in own]
    return Choice(platform, reason, ours, trial.unknown)
