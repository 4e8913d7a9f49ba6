"""The version of Relay, read by the build and shown by `relay --version`."""

VERSION = "0.1.0"
