"""A matched-filter search: template bank, filter, chi-squared, coincidence; our baseline."""
