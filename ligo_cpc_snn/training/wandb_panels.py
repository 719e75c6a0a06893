"""The names of metrics on W&B: the word before the first `/` is the section of panels.

A metric called `gradient_norm/encoder` in metrics.jsonl, of the split `train`, is
`gradients/train/encoder` there: what belongs together is side by side, both splits of a loss too.
"""

SECTIONS = {
    "loss": "what is minimised, whole and by part",
    "cpc": "contrastive accuracy, and how far the latents spread",
    "gradients": "norm by part of the model, and the learning rate",
    "spikes": "spikes per neuron and frame, of the bridge and each layer",
    "data": "network SNR of the signals shown, and what the banks hold",
    "throughput": "training windows per second",
    "memory": "peak of the process or the device",
    "sensitivity": "area under the curve, accuracy, fraction of signals found",
    "figures": "the run's figures",
}
OTHER = "other"  # a metric that no line below knows is shown all the same

_PREFIXES = {
    "loss": "loss",
    "infonce": "cpc",
    "gradient_norm": "gradients",
    "spike_rate": "spikes",
    "data": "data",
}
_NAMES = {
    "learning_rate": "gradients",
    "bridge_fault": "spikes",
    "examples_per_second": "throughput",
    "peak_memory_gb": "memory",
    "accuracy": "sensitivity",
    "auc": "sensitivity",
    "score": "sensitivity",
}


def panel_name(name: str, split: str | None = None) -> str:
    """Return the name under which W&B shows a metric.

    Args:
        name: as in metrics.jsonl.
        split: `train` or `validation`; None: of the whole run.

    Returns:
        `section/split/rest`, with a section of `SECTIONS` or `OTHER`.
    """
    first, _, rest = name.partition("/")
    if rest and first in _PREFIXES:
        section, last = _PREFIXES[first], rest
    else:
        section, last = _NAMES.get(name, OTHER), name
    return "/".join([section, *([split] if split else []), last])
