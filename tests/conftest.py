"""The package is imported with shapes and types of its annotations checked at run time."""

import os

# Before JAX is imported: the same numbers on every machine, no files outside the test.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_THREEFRY_PARTITIONABLE", "true")
os.environ.setdefault("WANDB_MODE", "disabled")

from jaxtyping import install_import_hook

PACKAGES = "strain signals conditioning dataset models objectives training search evaluation"
install_import_hook([f"ligo_cpc_snn.{name}" for name in PACKAGES.split()], "beartype.beartype")
