"""Strain and where it comes from: simulated noise, files, GWOSC; detectors' geometry."""
