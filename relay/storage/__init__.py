"""Shared state: in process, or over the Redis protocol."""
