"""Search strain for mergers: `ligo-search --detector bbh_o3 --event GW150914`.

Events, false-alarm rates and a report page come to the folder given by --output; a search
that was stopped continues where it was when the same command is given again.
"""

import logging
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from ligo_cpc_snn.config.command_line import entry
from ligo_cpc_snn.config.roots import SEARCH
from ligo_cpc_snn.config.search_arguments import to_overrides
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.runtime import environment, logs
from ligo_cpc_snn.runtime.run_folder import open_run_folder

log = logging.getLogger(__name__)

# What bad input or a bad machine ends in: one line without a traceback.
EXPECTED = (UserError, OSError, ValueError, ArithmeticError)


def search(cfg: SearchConfig) -> int:
    """Run one search; JAX is imported only after its environment is set."""
    with open_run_folder(Path(cfg.output_dir), setting="output_dir") as output_dir:
        logs.setup(output_dir, cfg.runtime.log_level)
        try:
            _prepare(cfg)
            if cfg.follow is not None:
                from ligo_cpc_snn.wiring.follow import follow

                return follow(cfg, output_dir)
            from ligo_cpc_snn.wiring.search import run_search

            return run_search(cfg, output_dir, environment.cache_folder())
        except KeyboardInterrupt:
            log.warning("stopped: what is done is kept, the same command continues")
            return 130
        except Exception:
            # The terminal gets one line from `entry`: whoever wants more finds it here.
            with suppress(OSError):
                (output_dir / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
            raise


def list_detectors() -> int:
    """Print the detectors that come with the package."""
    environment.prepare("cpu", 0.5, cache=False)
    from ligo_cpc_snn.search.weights import load_detector, shipped_detectors

    names = shipped_detectors()
    if not names:
        print("no detector comes with this installation: train one by python -m ligo_cpc_snn.train")
    for name in names:
        detector = load_detector(name)
        rate = f"{detector.sample_rate_hz} Hz"
        print(f"{name}: {', '.join(detector.detectors)}, {rate}; {summary(detector.card)}")
    return 0


def summary(card: dict[str, object]) -> str:
    """Return what a model card says in one line."""
    return str(card.get("summary", "no summary in its card"))


def main() -> int:
    """Entry point of `ligo-search`."""
    if "--list-detectors" in sys.argv[1:]:
        return list_detectors()
    return entry(
        search,
        description=__doc__,
        expected_errors=EXPECTED,
        root=SEARCH,
        translate=to_overrides,
    )


def _prepare(cfg: SearchConfig) -> None:
    chosen = environment.prepare(
        cfg.runtime.platform.value, cfg.runtime.memory_fraction, cfg.runtime.compilation_cache
    )
    environment.verify_platform(chosen)
    log.info(chosen.line())
