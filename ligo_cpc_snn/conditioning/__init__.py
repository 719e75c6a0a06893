"""Spectral density estimation and whitening."""
