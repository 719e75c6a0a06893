"""Make rejection.json: thresholds learned by plain loops, apart from the package's own code.

    python tests/golden/make_rejection.py

Powers are chi-squared, as a band's in Gaussian noise; every eleventh stretch is louder.
"""

import json
import math
import statistics
from pathlib import Path

import numpy as np

FOLDS, CANDIDATES, BIAS, STRETCHES = 5, 12, 0.99, 200


def make_scores() -> tuple[list[float], list[float]]:
    """Return amplitudes and powers of stretches, every eleventh of which holds a burst."""
    rng = np.random.default_rng(11)
    powers = rng.chisquare(100, STRETCHES) / 100
    powers[::11] += 10 ** rng.uniform(-0.5, 2.5, powers[::11].size)
    amplitudes = 6 * np.sqrt(powers) * rng.uniform(0.9, 1.1, STRETCHES)
    return [round(float(a), 6) for a in amplitudes], [round(float(p), 6) for p in powers]


def learn(scores: list[float], powers: list[float]) -> dict[str, object]:
    low, high = math.log(statistics.median(scores)), math.log(max(scores))
    tried = [math.exp(low + (high - low) * i / (CANDIDATES - 1)) for i in range(CANDIDATES)]
    tried[-1] = max(scores)
    errors: list[list[float]] = []
    for threshold in tried:
        row = []
        for fold in range(FOLDS):
            kept = [
                powers[i]
                for i in range(len(scores))
                if i % FOLDS != fold and scores[i] <= threshold
            ]
            held_out = [powers[i] for i in range(len(scores)) if i % FOLDS == fold]
            expected = statistics.median(held_out) / BIAS
            row.append(abs(sum(kept) / len(kept) / expected - 1) if kept else math.inf)
        errors.append(row)
    means = [sum(row) / FOLDS for row in errors]
    best = means.index(min(means))
    allowed = means[best] + statistics.stdev(errors[best]) / math.sqrt(FOLDS)
    chosen = max(i for i in range(CANDIDATES) if means[i] <= allowed)
    return {
        "threshold": tried[chosen],
        "candidates": tried,
        "errors": means,
        "rejected": [i for i in range(len(scores)) if scores[i] > tried[chosen]],
    }


def main() -> None:
    amplitudes, powers = make_scores()
    record = {
        "folds": FOLDS,
        "bias": BIAS,
        "amplitudes": amplitudes,
        "powers": powers,
        "by_amplitude": learn(amplitudes, [a * a for a in amplitudes]),
        "by_power": learn(powers, powers),
    }
    text = json.dumps(record, indent=1)
    Path(__file__).with_name("rejection.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
