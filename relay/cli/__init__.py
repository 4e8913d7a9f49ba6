"""The command line: `relay …`."""
