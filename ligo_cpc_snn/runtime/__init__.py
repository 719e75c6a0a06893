"""Where a run happens: environment, devices, compilation, logs and the run folder."""
