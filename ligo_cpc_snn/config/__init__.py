"""A run's settings: schema, composition with Hydra, checks, and the copy in the run folder."""
