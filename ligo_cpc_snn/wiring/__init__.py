"""A run put together from the packages that know nothing of each other."""
