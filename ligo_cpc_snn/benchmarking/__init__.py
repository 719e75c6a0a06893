"""Speed of a run's stages after compilation, against ceilings and against plain Spyx."""
