"""Sensitive distances that others published, for comparison in figures.

Mpc at 1, 10, 100 and 1000 false alarms a month, NaN where none is given. MLGWSC-1: Schäfer et
al. 2023, PRD 107, 023021, and its tables of results; AresGW: Nousi et al. 2023, PRD 108,
024022; ml-gw-bbh-search: its public record of 2026.
"""

from math import nan

RATES = (1.0, 10.0, 100.0, 1000.0)  # false alarms in 30 days

PUBLISHED: dict[str, dict[str, tuple[float, float, float, float]]] = {
    "ds1": {
        "PyCBC": (2492, 2551, 2687, 2850),
        "TPI FSU Jena": (2363, 2472, 2635, 2816),
        "Virgo-AUTh": (2116, 2318, 2512, 2713),
        "ml-gw-bbh-search": (2632, 2772, 2897, nan),
    },
    "ds3": {
        "PyCBC": (1586, 1655, 1758, 1872),
        "TPI FSU Jena": (1311, 1596, 1752, 1914),
        "Virgo-AUTh": (1206, 1523, 1678, 1854),
    },
    "ds4": {
        "PyCBC": (1544, 1610, 1722, 1851),
        "TPI FSU Jena": (nan, nan, nan, 1746),
        "Virgo-AUTh": (1092, 1400, 1609, 1866),
        "AresGW": (1576, 1633, 1817, 1994),
        "ml-gw-bbh-search": (1532, 1668, 1820, nan),
    },
}
