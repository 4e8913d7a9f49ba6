"""API keys: their form, the ring of known ones, and the decision whether a request may enter."""
