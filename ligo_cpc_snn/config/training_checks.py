"""Checks of the training phases, their losses and the optimiser."""

from collections.abc import Iterator

from ligo_cpc_snn.config.schema import Config, Negatives

_PHASES = ("pretrain", "probe", "finetune")


def _phases(cfg: Config) -> Iterator[str]:
    phases = {name: getattr(cfg.training, name) for name in _PHASES}
    if all(phase.steps == 0 for phase in phases.values()):
        yield (
            "training.pretrain.steps, probe.steps and finetune.steps are all 0: "
            "nothing would be trained, give one of them 1 or more"
        )
    for name, phase in phases.items():
        key = f"training.{name}"
        if phase.steps < 0:
            yield f"{key}.steps={phase.steps}: expected 0 or more"
        if phase.learning_rate <= 0:
            yield f"{key}.learning_rate={phase.learning_rate}: expected more than 0"
        weights = (phase.infonce_weight, phase.detection_weight, phase.rate_weight)
        if min(weights) < 0:
            yield f"{key}: its weights are {weights}, expected 0 or more"
        if phase.steps and not phase.infonce_weight and not phase.detection_weight:
            yield (
                f"{key}.infonce_weight and detection_weight are both 0 in a phase of "
                f"{phase.steps} steps: it has no loss, give one of them a weight"
            )


def _curricula(cfg: Config) -> Iterator[str]:
    for name in _PHASES:
        snr, key = getattr(cfg.training, name).snr, f"training.{name}.snr"
        for end in ("start", "end"):
            low, high = getattr(snr, f"{end}_min"), getattr(snr, f"{end}_max")
            if not 0 <= low <= high:
                yield f"{key}.{end}_min={low} and {end}_max={high}: expected 0 <= min <= max"
        if not 0 <= snr.ramp_begin <= snr.ramp_end <= 1:
            yield (
                f"{key}.ramp_begin={snr.ramp_begin} and ramp_end={snr.ramp_end}: expected "
                "0 <= begin <= end <= 1, fractions of the phase's steps"
            )


def _infonce(cfg: Config) -> Iterator[str]:
    # Checked without a weight, too: the anchors are drawn with every batch.
    infonce = cfg.training.infonce
    frames = cfg.data.window_samples // cfg.model.encoder.frame_samples
    reach = infonce.first_step + infonce.steps - 1
    if reach >= frames:
        yield (
            f"training.infonce.steps={infonce.steps} from first_step={infonce.first_step} predicts "
            f"{reach} frames ahead, but data.window_seconds={cfg.data.window_seconds} holds "
            f"{frames} frames: lower steps or lengthen the window"
        )
    elif frames - reach < infonce.anchors:
        yield (
            f"training.infonce.anchors={infonce.anchors}: a window of {frames} frames leaves "
            f"{frames - reach} beside the {reach} predicted, lower anchors or lengthen "
            "data.window_seconds"
        )
    if infonce.temperature <= 0:
        yield f"training.infonce.temperature={infonce.temperature}: expected more than 0"
    if infonce.anchors < 1:
        yield f"training.infonce.anchors={infonce.anchors}: expected 1 or more"
    if infonce.negatives is Negatives.batch and cfg.training.batch_size < 2:
        yield (
            f"training.infonce.negatives=batch with training.batch_size={cfg.training.batch_size}: "
            "negatives come from other examples, use 2 or more or negatives=sequence"
        )


def _optimiser(cfg: Config) -> Iterator[str]:
    optimiser = cfg.training.optimiser
    if optimiser.warmup_steps < 0:
        yield f"training.optimiser.warmup_steps={optimiser.warmup_steps}: expected 0 or more"
    if optimiser.clip_norm <= 0:
        yield f"training.optimiser.clip_norm={optimiser.clip_norm}: expected more than 0"
    best = cfg.training.checkpoint.keep_best
    if best < 0:
        yield f"training.checkpoint.keep_best={best}: expected 0 or more"


CHECKS = (
    _phases,
    _curricula,
    _infonce,
    _optimiser,
)
