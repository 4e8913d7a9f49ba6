"""What runs the chain: downstream, attempts, upstream, workers."""
