"""How much a caller may ask for: limits on requests, tokens and concurrency, exact over all processes."""
