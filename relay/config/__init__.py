"""YAML with positions, settings, loaded plugins."""
