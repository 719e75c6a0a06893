"""Imported by the server of forks: what the commands import, after the environment they set."""

import os
import tempfile
from unittest.mock import patch

from ligo_cpc_snn.config.runtime_schema import RuntimeConfig
from ligo_cpc_snn.runtime import environment

_runtime = RuntimeConfig()
with (
    tempfile.TemporaryDirectory() as _folder,  # not the user's
    patch.dict(os.environ, LIGO_CACHE_DIR=_folder),
):
    environment.prepare(  # as each command does, which finds it done
        _runtime.platform.value,
        _runtime.memory_fraction,
        _runtime.compilation_cache,
        _runtime.fallback,
    )

import ligo_cpc_snn.strain.command_line  # noqa: E402 (after the environment)
import ligo_cpc_snn.training.checkpoints  # noqa: E402
import ligo_cpc_snn.wiring.search  # noqa: E402
import ligo_cpc_snn.wiring.search_command  # noqa: E402
import ligo_cpc_snn.wiring.session  # noqa: E402, F401
