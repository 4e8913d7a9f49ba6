"""Anthropic's dialect: every endpoint below `/v1`."""

from __future__ import annotations

from relay_simulator.anthropic import batches, files, messages, models
from relay_simulator.anthropic.manner import MANNER
from relay_simulator.endpoint import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (*messages.ENDPOINTS, *batches.ENDPOINTS, *files.ENDPOINTS, *models.ENDPOINTS)

__all__ = ["ENDPOINTS", "MANNER"]
