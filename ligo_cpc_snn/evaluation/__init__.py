"""What a trained detector is worth: metrics with intervals, efficiency, spike statistics."""
