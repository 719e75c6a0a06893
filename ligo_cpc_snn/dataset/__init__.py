"""Banks of whitened noise and signals on the device, and batches composed from them."""
