"""Units of time that are not SI."""

YEAR_SECONDS = 31557600.0  # Julian year, 365.25 days
