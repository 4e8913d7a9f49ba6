"""Gemini's dialect: every endpoint, below `/v1`, `/v1beta` and `/v1alpha`."""

from __future__ import annotations

from relay_simulator.endpoint import Endpoint
from relay_simulator.gemini import embed, generate, models
from relay_simulator.gemini.manner import MANNER

ENDPOINTS: tuple[Endpoint, ...] = tuple(
    Endpoint(one.method, f"/{version}{one.path}", one.surface, one.run)
    for version in ("v1", "v1beta", "v1alpha")
    for one in (*generate.ENDPOINTS, *embed.ENDPOINTS, *models.ENDPOINTS)
)

__all__ = ["ENDPOINTS", "MANNER"]
