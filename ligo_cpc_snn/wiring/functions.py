"""All functions of a run, compiled before its first step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ligo_cpc_snn.chunked import in_parts
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.dataset.banks import HardCrops
from ligo_cpc_snn.dataset.sampling import build_sampler, draw_noise_windows
from ligo_cpc_snn.evaluation.windows import Score, build_score
from ligo_cpc_snn.fitting import InParts
from ligo_cpc_snn.models.detector import Detection, Detector
from ligo_cpc_snn.rng import at_step, stream
from ligo_cpc_snn.runtime.compilation import compile_ahead, compile_measured
from ligo_cpc_snn.search.stream import Advance, build_advance
from ligo_cpc_snn.stages import stage
from ligo_cpc_snn.training.learner import Params, Structure
from ligo_cpc_snn.training.micro_batches import micro_batches
from ligo_cpc_snn.training.mining import Miner, Mining, prepare_mining
from ligo_cpc_snn.training.phases import Phase, Room, prepare_phases
from ligo_cpc_snn.types import Strain
from ligo_cpc_snn.wiring.data import Data
from ligo_cpc_snn.wiring.distributed import ONE_DEVICE, Together
from ligo_cpc_snn.wiring.export import Lags, build_lags

# Windows looked into at the end: their SNRs by name, then noise for the spike statistics.
CASES = {"loud": 20.0, "quiet": 8.0, "noise": 0.0}
INSPECTED = 32
CHUNK_SECONDS = 4.0  # of continuous strain


class Functions(NamedTuple):
    """Compiled functions; `advance` by the number of streams side by side.

    `programs` are those of mining and of the evaluation, with the bytes they take beside their
    arguments.
    """

    phases: list[Phase]
    score: Score
    inspect: Callable[[Params, Any], tuple[Strain, Detection]]
    advance: dict[int, Advance]
    assemble: Callable[[Params], Detector]
    lags: Lags
    mining: Mining | None = None
    programs: dict[str, int] = {}  # noqa: RUF012 (never changed)


@stage("compilation")
def prepare_functions(
    cfg: Config,
    structure: Structure,
    params: Params,
    data: Data,
    together: Together = ONE_DEVICE,
    room: Room | None = None,
) -> Functions:
    """Compile training, validation, evaluation and, for an event, the search.

    Training and its validation run on all devices; what comes after them on one, with what
    `together.own` returns of the parameters and the validation banks.

    Args:
        room: memory for it and steps at a time; None: without a limit.
    """

    def assemble(params: Params) -> Detector:
        return structure.learner(params).detector

    sample_validation = build_sampler(cfg.data, cfg.evaluation.batch_size)
    phases = prepare_phases(
        cfg,
        structure,
        params,
        build_sampler(cfg.data, cfg.training.batch_size),
        lambda *args, **named: together.spread(sample_validation(*args, **named)),
        data.training,
        data.validation,
        compile_measured,
        _no_hard_crops(cfg) if cfg.data.glitches.hard_fraction else None,
        room,
        jit=together.jit,
        spread=together.spread,
        recovers=not together.several,  # another process would not know of it
    )
    state_bytes = max(phase.state_bytes for phase in phases)
    fit = _Fitting(cfg.evaluation.batch_size, room, state_bytes)
    mined = cfg.data.glitches.hard_fraction
    mining = _mining(cfg, assemble, params, data, together, fit) if mined else None
    params, validation = together.own(params), together.own(data.validation)
    number, snr = jnp.zeros((), jnp.int32), jnp.zeros(())
    score = fit("evaluation: scores", _score(cfg, assemble), (params, validation, number, snr))
    lags = fit(
        "evaluation: timing",
        lambda parts: build_lags(cfg, assemble, parts),
        (params, validation, number),
    )
    inspect = fit.whole("evaluation: traces", _inspect(cfg, assemble), params, validation)
    advance = _advance(cfg, assemble, params, fit) if cfg.event.name else {}
    return Functions(phases, score, inspect, advance, assemble, lags, mining, fit.needed)


@dataclass
class _Fitting:
    """Compiles functions in as few parts of a batch as fit, and notes the bytes they need."""

    batch: int
    room: Room | None
    state_bytes: int
    needed: dict[str, int] = field(default_factory=dict)

    def __call__(
        self,
        name: str,
        build: Callable[[int], Callable[..., Any]],
        arguments: tuple[Any, ...],
        together: Together = ONE_DEVICE,
        copies: int = 1,
    ) -> InParts:
        """Compile a function by its number of parts.

        Args:
            copies: of the state that are there beside it.
        """
        memory = None if self.room is None else self.room.memory_bytes
        found = InParts(
            name,
            build,
            arguments,
            sizes=micro_batches(self.batch, 1),
            room_bytes=None if memory is None else memory - copies * self.state_bytes,
            compile_measured=compile_measured,
            jit=together.jit,
            recovers=not together.several,
        )
        self.needed[name] = found.needed_bytes
        return found

    def whole(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Compile a function that is not taken in parts."""
        compiled, self.needed[name] = compile_measured(name, function, *arguments)
        return compiled


def _score(cfg: Config, assemble: Callable[[Params], Detector]) -> Callable[[int], Score]:
    all_signals = build_sampler(cfg.data, cfg.evaluation.batch_size, signal_fraction=1.0)
    key = stream(cfg.seed, "evaluation")
    return lambda parts: build_score(assemble, all_signals, key, lambda f: in_parts(f, parts))


def _no_hard_crops(cfg: Config) -> HardCrops:
    """Return the shapes of mined noise."""
    crops = (cfg.data.glitches.hard_count, len(cfg.data.detectors))
    return HardCrops(np.zeros(crops, np.int32), np.zeros((), np.int32))


def _mining(
    cfg: Config,
    assemble: Callable[[Params], Detector],
    params: Params,
    data: Data,
    together: Together,
    fit: _Fitting,
) -> Mining:
    glitches, batch = cfg.data.glitches, cfg.evaluation.batch_size

    def draw(banks: Any, key: Key[Array, ""]) -> tuple[Strain, Array]:
        return draw_noise_windows(banks.noise, key, cfg.data.window_samples, batch)

    def score(params: Params, strain: Strain) -> Array:
        detector = assemble(params)
        return detector.window_logits(detector(strain)[0].frame_logits)

    detectors = len(cfg.data.detectors)
    miner = Miner(
        draw, score, HardCrops, stream(cfg.seed, "mining"), glitches.hard_count, detectors
    )
    return prepare_mining(
        miner,
        every=glitches.mine_every_steps,
        batches=-(-glitches.mine_windows // batch),
        params=params,
        banks=data.training,
        compile_ahead=compile_ahead,
        jit=together.jit,
        # Beside the state and the copy of it to go back to.
        fit=lambda name, build, arguments: fit(name, build, arguments, together, copies=2),
    )


def _inspect(
    cfg: Config, assemble: Callable[[Params], Detector]
) -> Callable[[Params, Any], tuple[Strain, Detection]]:
    """Return the function that looks into a loud, a quiet and many noise windows."""
    sample = build_sampler(cfg.data, INSPECTED, signal_fraction=1.0)
    snrs = np.zeros(INSPECTED, np.float32)
    snrs[: len(CASES)] = list(CASES.values())

    def inspect(params: Params, banks: Any) -> tuple[Strain, Detection]:
        snr = jnp.asarray(snrs)
        batch = sample(banks, at_step(stream(cfg.seed, "traces"), 0), snr, snr)
        return batch.strain, assemble(params)(batch.strain)[0]

    return jax.jit(inspect)


def chunk_samples(cfg: Config, frame_samples: int) -> int:
    """Return the samples of a chunk of continuous strain: whole frames."""
    return round(CHUNK_SECONDS * cfg.data.sample_rate_hz) // frame_samples * frame_samples


def _advance(
    cfg: Config, assemble: Callable[[Params], Detector], params: Params, fit: _Fitting
) -> dict[int, Advance]:
    advance, detector = build_advance(assemble), assemble(params)
    samples = chunk_samples(cfg, detector.frame_samples)
    compiled = {}
    for streams in sorted({1, cfg.event.time_slides + 1}):
        strain = jnp.zeros((streams, len(cfg.data.detectors), samples))
        state = detector.initial_state(streams)
        name = f"search: {streams} streams"
        compiled[streams] = fit.whole(name, advance, params, strain, state)
    return compiled
