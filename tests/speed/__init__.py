"""`make bench`: Relay beside nginx and a plain aiohttp proxy, in one run on one core, as ratios."""
