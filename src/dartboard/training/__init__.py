"""What trains weights: a step, an epoch, saving; a network from scratch."""
