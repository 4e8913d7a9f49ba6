"""Fixtures for tests of Relay and of plugins anywhere (a pytest plugin)."""
