"""Geometry of the detectors: antenna patterns and arrival times."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

SPEED_OF_LIGHT = 299792458.0  # m/s, exact (SI)

# GPS times at which UTC's leap seconds began (IERS Bulletin C, none announced after 2017).
LEAP_SECOND_GPS = (
    46828800.0, 78364801.0, 109900802.0, 173059203.0, 252028804.0, 315187205.0,
    346723206.0, 393984007.0, 425520008.0, 457056009.0, 504489610.0, 551750411.0,
    599184012.0, 820108813.0, 914803214.0, 1025136015.0, 1119744016.0, 1167264017.0,
)  # fmt: skip
GPS_EPOCH_JULIAN_DATE = 2444244.5  # 1980-01-06 00:00 UTC
J2000_JULIAN_DATE = 2451545.0
SECONDS_PER_DAY = 86400.0
DAYS_PER_JULIAN_CENTURY = 36525.0


@dataclass(frozen=True)
class Detector:
    """An interferometer in the Earth-fixed frame (WGS-84, geocentric, x to Greenwich).

    Args:
        name: Two-character prefix, as H1.
        vertex: Position of the beam splitter in m.
        arm_x, arm_y: Unit vectors along the arms.
    """

    name: str
    vertex: tuple[float, float, float]
    arm_x: tuple[float, float, float]
    arm_y: tuple[float, float, float]

    @property
    def response(self) -> Float[np.ndarray, "3 3"]:
        """Response tensor in the long-wavelength limit, half the difference of the arms."""
        return 0.5 * (np.outer(self.arm_x, self.arm_x) - np.outer(self.arm_y, self.arm_y))


# Vertices and arms: Anderson et al., LIGO-T980044, as tabulated in LAL's LALDetectors.h
# (K1 there after JGW-G1503824).
DETECTORS: dict[str, Detector] = {
    detector.name: detector
    for detector in (
        Detector(
            "H1",
            (-2161414.92636, -3834695.17889, 4600350.22664),
            (-0.22389266154, 0.79983062746, 0.55690487831),
            (-0.91397818574, 0.02609403989, -0.40492342125),
        ),
        Detector(
            "L1",
            (-74276.0447238, -5496283.71971, 3224257.01744),
            (-0.95457412153, -0.1415807734, -0.26218911324),
            (0.29774156894, -0.48791033647, -0.82054461286),
        ),
        Detector(
            "V1",
            (4546374.099, 842989.697626, 4378576.96241),
            (-0.70045821479, 0.20848948619, 0.68256166277),
            (-0.05379255368, -0.96908180549, 0.24080451708),
        ),
        Detector(
            "K1",
            (-3777336.024, 3484898.411, 3765313.697),
            (-0.375904, -0.8361583, 0.3994189),
            (0.7164378, 0.01114076, 0.697562),
        ),
    )
}


def find_detector(name: str) -> Detector:
    """Return the detector called `name`.

    Raises:
        ValueError: `name` is not known; the message lists those that are.
    """
    if name not in DETECTORS:
        raise ValueError(f"unknown detector {name!r}: known are {', '.join(sorted(DETECTORS))}")
    return DETECTORS[name]


def greenwich_sidereal_angle(gps: float | Float[Array, ""]) -> float | Float[Array, ""]:
    """Return the Greenwich mean sidereal time, with UT1 taken as UTC.

    A plain number is computed in float64 whatever JAX's precision; a traced `gps` needs
    64-bit numbers, because float32 resolves a GPS time to only 64 s.

    Args:
        gps: GPS time in s.

    Returns:
        Angle in rad, in [0, 2 pi).

    Reference: Aoki et al. 1982, A&A 105, 359. UT1 - UTC < 0.9 s: < 7e-5 rad.
    """
    traced = isinstance(gps, jax.Array)
    if isinstance(gps, jax.Array) and gps.dtype != jnp.float64:
        raise ValueError(
            f"gps is an array of {gps.dtype}: expected a plain number, or float64 under "
            "jax.enable_x64, since float32 cannot resolve GPS times"
        )
    xp = jnp if traced else np
    leaps = xp.searchsorted(xp.asarray(LEAP_SECOND_GPS), xp.asarray(gps), side="right")
    days = GPS_EPOCH_JULIAN_DATE - J2000_JULIAN_DATE + (gps - leaps) / SECONDS_PER_DAY
    centuries = days / DAYS_PER_JULIAN_CENTURY
    seconds = 67310.54841 + centuries * (
        876600.0 * 3600.0 + 8640184.812866 + centuries * (0.093104 - 6.2e-6 * centuries)
    )
    angle = xp.mod(seconds, SECONDS_PER_DAY) * (2 * np.pi / SECONDS_PER_DAY)
    return angle if traced else float(angle)


def antenna_pattern(
    detector: Detector | str,
    right_ascension: float | Float[Array, ""],
    declination: float | Float[Array, ""],
    polarization: float | Float[Array, ""],
    gps: float | Float[Array, ""],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return the response of a detector to the plus and cross polarizations.

    Args:
        detector: A detector or its name.
        right_ascension, declination: Sky position in rad.
        polarization: Polarization angle in rad, LAL's convention.
        gps: GPS time in s; sets the Earth's rotation.

    Returns:
        F_plus and F_cross, scalars.

    Reference: Anderson et al. 2001, PRD 63, 042003, eqs. B4-B7.
    """
    response = jnp.asarray(_named(detector).response)
    hour_angle = greenwich_sidereal_angle(gps) - right_ascension
    sin_h, cos_h = jnp.sin(hour_angle), jnp.cos(hour_angle)
    sin_d, cos_d = jnp.sin(declination), jnp.cos(declination)
    sin_p, cos_p = jnp.sin(polarization), jnp.cos(polarization)
    x_axis = jnp.stack(
        [
            -cos_p * sin_h - sin_p * cos_h * sin_d,
            -cos_p * cos_h + sin_p * sin_h * sin_d,
            sin_p * cos_d,
        ]
    )
    y_axis = jnp.stack(
        [
            sin_p * sin_h - cos_p * cos_h * sin_d,
            sin_p * cos_h + cos_p * sin_h * sin_d,
            cos_p * cos_d,
        ]
    )
    along_x, along_y = response @ x_axis, response @ y_axis
    return x_axis @ along_x - y_axis @ along_y, x_axis @ along_y + y_axis @ along_x


def arrival_delay(
    detector: Detector | str,
    right_ascension: float | Float[Array, ""],
    declination: float | Float[Array, ""],
    gps: float | Float[Array, ""],
) -> Float[Array, ""]:
    """Return how much later than at the geocentre a wave arrives at a detector.

    Args:
        detector: A detector or its name.
        right_ascension, declination: Sky position in rad.
        gps: GPS time in s; sets the Earth's rotation.

    Returns:
        Delay in s, negative when the detector is reached first.
    """
    hour_angle = greenwich_sidereal_angle(gps) - right_ascension
    to_source = jnp.stack(
        [
            jnp.cos(declination) * jnp.cos(hour_angle),
            -jnp.cos(declination) * jnp.sin(hour_angle),
            jnp.sin(declination) * jnp.ones_like(hour_angle),
        ]
    )
    return -jnp.asarray(_named(detector).vertex) @ to_source / SPEED_OF_LIGHT


def light_travel_time(detectors: Sequence[str]) -> float:
    """Return the longest light travel time between any two of `detectors`, in s."""
    vertices = [np.asarray(find_detector(name).vertex) for name in detectors]
    return max(
        (float(np.linalg.norm(a - b)) / SPEED_OF_LIGHT for a in vertices for b in vertices),
        default=0.0,
    )


def _named(detector: Detector | str) -> Detector:
    return find_detector(detector) if isinstance(detector, str) else detector
