"""Paths in settings: relative ones start at the folder of the YAML file, wherever Relay was started."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo


def _placed(path: Path, info: ValidationInfo) -> Path:
    directory = (info.context or {}).get("directory")
    path = path.expanduser() if path.parts[:1] == ("~",) else path
    return Path(os.path.normpath(Path(directory, path))) if directory is not None else path


Place = Annotated[Path, AfterValidator(_placed)]
"""A path, read relative to the configuration that names it."""
