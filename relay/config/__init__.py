"""YAML with positions, settings, loaded plugins: everything about a configuration before anything is opened."""

from relay.config.load import Configuration, Loaded, load
from relay.config.settings import CoreSettings

__all__ = ["Configuration", "CoreSettings", "Loaded", "load"]
