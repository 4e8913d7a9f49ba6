"""Where a call goes: model names, providers, weights, fallbacks, breakers."""
