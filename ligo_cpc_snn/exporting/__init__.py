"""A trained detector for other machines: its SNN as a NIR graph, its front end as StableHLO."""
