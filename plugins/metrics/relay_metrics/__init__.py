"""Figures for Prometheus: what was asked, how long it took, what it used, and every gauge that the relay offers."""
