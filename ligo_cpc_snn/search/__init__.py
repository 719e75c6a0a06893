"""The detector over continuous strain: chunks, time slides, events."""
