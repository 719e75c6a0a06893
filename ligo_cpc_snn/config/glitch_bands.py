"""Frequencies of the families of simulated glitches, and whether a band hears them."""

from ligo_cpc_snn.config.data_schema import GlitchFamily

# Of a family's frequency, Hz, log-uniform: what lies in the band is drawn from it.
FREQUENCIES_HZ = {
    GlitchFamily.sine_gaussian: (30.0, 1000.0),
    GlitchFamily.blip: (50.0, 300.0),
    GlitchFamily.scattered_light: (15.0, 80.0),
    GlitchFamily.low_frequency_burst: (25.0, 60.0),
}
MARGIN = 1.2  # by which a frequency lies above the band's lower edge, where little passes


def heard(family: GlitchFamily, band_hz: tuple[float, float]) -> tuple[float, float]:
    """Return the frequencies of a family that a band hears, Hz; none if they are not rising."""
    lowest, highest = FREQUENCIES_HZ[family]
    return max(lowest, MARGIN * band_hz[0]), min(highest, band_hz[1])


def band_fault(family: GlitchFamily, band_hz: tuple[float, float]) -> str | None:
    """Return what is wrong if a band hears nothing of a family."""
    low, high = heard(family, band_hz)
    if low < high:
        return None
    lowest, highest = FREQUENCIES_HZ[family]
    return (
        f"glitches of {family.value}, from {lowest:g} to {highest:g} Hz, are not heard between "
        f"{band_hz[0]:g} and {band_hz[1]:g} Hz: take the family out of data.glitches.families "
        "or change data.highpass_hz and lowpass_hz"
    )
