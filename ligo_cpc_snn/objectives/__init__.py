"""What training minimises: InfoNCE, detection, firing rates."""
