"""Spiking neural networks that find gravitational waves, trained in JAX.

Importing the package is cheap and does not import JAX: the environment that JAX
reads once, at its own import, is set first (`ligo_cpc_snn.runtime.environment`).
"""

__version__ = "0.1.0"
