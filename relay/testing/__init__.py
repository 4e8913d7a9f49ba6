"""Everything a plugin author needs to test a plugin without a server."""
