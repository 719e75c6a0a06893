"""An encoder of the user's own, found by the name in `model.encoder.own` and looked at first."""

import textwrap
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import flax
import jax
import jax.numpy as jnp
from flax import nnx

from ligo_cpc_snn.config.model_schema import EncoderConfig
from ligo_cpc_snn.config.own_encoder import place_of
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.models.kernels import Kernels

NEEDED = ("frame_samples", "initial_state")
LONGEST_TEXT = 300  # of an error that is not ours, characters
# The user's own lines are looked for; these only stand between them.
BETWEEN = tuple(str(Path(file).parent) for file in (__file__, jax.__file__, flax.__file__))


def build_own_encoder(
    cfg: EncoderConfig,
    *,
    channels: int,
    sample_rate_hz: int,
    rngs: nnx.Rngs,
    kernels: Kernels,
) -> Any:
    """Return `Class(cfg, channels=, sample_rate_hz=, rngs=, kernels=)` of `cfg.own`.

    Raises:
        UserError: there is no such class, it is no `flax.nnx.Module`, its own code raises an
            error, or what it makes of strain is not what the detector needs of an `Encoder`.
    """
    found = _class_of(cfg.own)
    with _told(cfg.own, "making it", found):
        encoder = found(
            cfg, channels=channels, sample_rate_hz=sample_rate_hz, rngs=rngs, kernels=kernels
        )
    for name in NEEDED:
        if not hasattr(encoder, name):
            raise UserError(f"model.encoder.own={cfg.own}: it has no {name}, which a search needs")
    if encoder.frame_samples != cfg.stride:
        raise UserError(
            f"model.encoder.own={cfg.own}: its frame_samples={encoder.frame_samples}, expected "
            f"model.encoder.stride={cfg.stride}: make them the same"
        )
    with _told(cfg.own, "giving it strain"):
        _check_shapes(encoder, cfg, channels)
    return encoder


@contextmanager
def _told(own: str, doing: str, made: Any = None) -> Iterator[None]:
    """Turn whatever the user's code raises, which may be anything, into one line.

    Args:
        own: `model.encoder.own`.
        doing: what is done within, for the line.
        made: class whose place is told where no line of the user's raised it.

    Raises:
        UserError: with the error's kind, text, file and line.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        kind = f"{type(error).__name__}: {textwrap.shorten(text, LONGEST_TEXT)}"
        raise UserError(
            f"model.encoder.own={own}: {doing} ended in {kind}{_place(error, made)}; mend it, or "
            "set LIGO_TRACEBACK=1 to see all of it"
        ) from error


def _place(error: BaseException, made: Any) -> str:
    """Return ` (file:line)` of the user's last line on the way to an error, empty if unknown."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(("<", *BETWEEN)):
            return f" ({frame.filename}:{frame.lineno})"
    code = getattr(getattr(made, "__init__", None), "__code__", None)
    if code is None or code.co_filename.startswith(("<", *BETWEEN)):
        return ""
    return f" ({code.co_filename}:{code.co_firstlineno})"


def _class_of(own: str) -> Any:
    try:
        module, name = place_of(own)
    except ValueError as error:
        raise UserError(str(error)) from error
    with _told(own, f"importing {module}"):
        try:
            found = getattr(import_module(module), name, None)
        except ModuleNotFoundError as error:
            raise UserError(
                f"model.encoder.own={own}: {module} cannot be imported, no module {error.name} on "
                "Python's path"
            ) from error
    if found is None:
        raise UserError(f"model.encoder.own={own}: module {module} has no {name}")
    if not (isinstance(found, type) and issubclass(found, nnx.Module)):
        raise UserError(
            f"model.encoder.own={own}: {name} is no flax.nnx.Module; derive it from nnx.Module"
        )
    return found


def _check_shapes(encoder: Any, cfg: EncoderConfig, channels: int) -> None:
    """Put two frames of strain through, as shapes only."""

    def twice(strain: jax.Array) -> tuple[Any, Any, Any]:
        before = encoder.initial_state(2)
        latents, after = encoder(strain, before)
        return latents, before, after

    strain = jax.ShapeDtypeStruct((2, 2 * cfg.stride, channels), jnp.float32)
    latents, before, after = jax.eval_shape(twice, strain)
    expected = (2, 2, cfg.features)
    if getattr(latents, "shape", None) != expected:
        raise UserError(
            f"model.encoder.own={cfg.own}: latents {getattr(latents, 'shape', latents)} of strain "
            f"{strain.shape}, expected {expected}: batch, frames, model.encoder.features"
        )
    shapes = [jax.tree.map(lambda x: (x.shape, x.dtype), state) for state in (before, after)]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"model.encoder.own={cfg.own}: its state is {shapes[0]} before and {shapes[1]} after a "
            "call (shape, dtype); expected the same, so that a search can go on from it"
        )
