"""What the deployer may choose."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from relay import Secret, Settings


class SimulatorSettings(Settings):
    """The settings of the plugin, and of the provider when it runs on its own."""

    pace: float = Field(
        0.0, ge=0, le=60, description="Seconds between two events of a stream, where a request asks for none."
    )
    key: Secret | None = Field(
        None,
        description="The key that requests must carry in their dialect's own way. Left out: any key, or none, will do.",
    )
    tally_file: Path | None = Field(
        None,
        description="Where the journal of what was served lies. Left out: `simulator/journal.jsonl` in the data folder.",
    )
    last: int = Field(
        100, ge=0, le=10_000, description="How many of the newest request heads and request ids are kept."
    )
