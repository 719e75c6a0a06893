"""Which platform a run takes and which of our XLA flags go with it."""

import logging
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from ligo_cpc_snn.runtime import preference
from ligo_cpc_snn.runtime.platforms import (
    METAL_ADVICE,
    NEED_CPU,
    ORDER,
    DeviceUnavailableError,
    PlatformError,
    availability,
    jax_platforms,
    usable,
)
from ligo_cpc_snn.runtime.probe import Trial, try_flags

log = logging.getLogger(__name__)

FALLBACK_REASON = "LIGO_FALLBACK_REASON"  # set for the process that goes on after a failure
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
    fell_back: bool = False  # another one was asked for


def choose_platform(asked: str, cache_dir: Path | None, fallback: bool = False) -> Choice:
    """Choose the platform: LIGO_PLATFORM, then the config's, then what is here.

    Args:
        asked: by the config; ``auto`` takes the first that works.
        cache_dir: where trials are remembered; None: nowhere.
        fallback: take the CPU, with a warning, where what was asked for cannot be had.

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
        asked, source = theirs[0], "JAX_PLATFORMS"
    elif theirs and asked not in theirs:
        raise PlatformError(
            f"{source}={asked}, but JAX_PLATFORMS={os.environ['JAX_PLATFORMS']} leaves it out: "
            "unset one of them"
        )
    if asked == "auto":
        return first_that_works(cache_dir)
    try:
        return _checked(asked, source, cache_dir)
    except DeviceUnavailableError as error:
        if not fallback or asked == "cpu" or (theirs and "cpu" not in theirs):
            raise
        log.warning("%s: going on with the CPU, as runtime.fallback=true says", error)
        chosen = _choice("cpu", f"fallback: {error}", _try("cpu", cache_dir))
        return replace(chosen, fell_back=True)


def _checked(platform: str, source: str, cache_dir: Path | None) -> Choice:
    """Insist on a platform."""
    found = availability(platform)
    if not found.usable:
        raise DeviceUnavailableError(
            f"{source}={platform} is not usable here: {found.reason}; usable: {', '.join(usable())}"
        )
    theirs = jax_platforms()
    if platform in NEED_CPU and theirs and "cpu" not in theirs:
        raise PlatformError(
            f"JAX_PLATFORMS={os.environ['JAX_PLATFORMS']} leaves out the CPU, where complex and "
            f"64-bit numbers are computed beside {platform}: add ',cpu', or unset it"
        )
    trial = _try(platform, cache_dir)
    if trial.failure:
        others = [name for name in usable() if name != platform]
        advice = f"; {METAL_ADVICE}" if platform == "metal" else ""
        raise DeviceUnavailableError(
            f"{source}={platform} does not start: {trial.failure}; usable: "
            f"{', '.join(others)}{advice}"
        )
    reason = f"{source}={platform}"
    if platform == "cpu" and os.environ.get(FALLBACK_REASON):
        reason += f", after a fallback: {os.environ[FALLBACK_REASON]}"
    return _choice(platform, reason, trial)


def first_that_works(cache_dir: Path | None) -> Choice:
    """Return what `auto` takes, whatever the variables ask for.

    Raises:
        PlatformError: nothing starts.
    """
    passed_over: list[str] = []
    for platform in preference.in_order(ORDER):
        found = availability(platform)
        trial = _try(platform, cache_dir) if found.usable else Trial([], [], found.reason)
        if not trial.failure:
            reason = "; ".join(["auto", *preference.why(platform), *passed_over])
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
