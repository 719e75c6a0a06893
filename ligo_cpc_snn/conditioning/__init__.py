"""Spectral density estimation, whitening, recolouring, and what is rejected as no noise."""
