"""A provider of models that needs no key and no network: every surface of the three dialects, and its own tally of what it served."""
