"""Gravitational-wave signals: population, waveforms, projection onto detectors."""
