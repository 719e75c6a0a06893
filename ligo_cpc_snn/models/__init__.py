"""The detector: encoder, context, bridge from latents to spikes, spiking network."""
