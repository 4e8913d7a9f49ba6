"""The configurations in `config/` are right."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from relay.config import installed, load
from relay.config.settings import CoreSettings
from relay.errors import ConfigurationError

CONFIG = Path(__file__).parents[3] / "config"
NESTED = ("limits", "egress", "log")
SECRETS = dict.fromkeys(
    ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "RELAY_MASTER", "RELAY_KEYS"), "x" * 40
)


@pytest.fixture(autouse=True)
def _everything_is_installed(_nothing_else_is_installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "entry_points", metadata.entry_points)


@pytest.mark.parametrize("name", sorted(path.name for path in CONFIG.glob("*.yaml")))
def test_a_shipped_configuration_loads_with_the_variables_it_names(name: str) -> None:
    configuration = load(CONFIG / name, environ=SECRETS)

    assert configuration.chain
    assert (CONFIG / name).read_text().startswith("# yaml-language-server: $schema=relay.schema.json\n")


def test_the_commercial_one_demands_its_secrets() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(CONFIG / "commercial.yaml", environ={})

    missing = {problem.message.split("'")[1] for problem in raised.value.problems}
    assert set(SECRETS) == missing


def _uncommented() -> str:
    """The default configuration's top with its settings in force, but those that stand for secrets."""
    top = (CONFIG / "relay.yaml").read_text().split("\nplugins:")[0]
    settings = "|".join(
        ("mode", "listen", "operator_listen", "workers", "trusted_proxies", "hosts", "plain_text", *NESTED)
    )
    lines = re.sub(rf"^# ((?:{settings}|  \w+):)", r"\1", top, flags=re.MULTILINE).splitlines()
    return "\n".join(line for line in lines if not re.match(r"  (?:master|keys|url|direct_url):", line))


def test_what_the_default_one_comments_out_is_what_holds_without_it(tmp_path: Path) -> None:
    text = (CONFIG / "relay.yaml").read_text().split("\nplugins:")[0]

    commented = load(tmp_path / "relay.yaml", environ={}, text=f"{text}\nplugins: []")
    in_force = load(tmp_path / "relay.yaml", environ={}, text=f"{_uncommented()}\nplugins: []")

    assert commented.core == in_force.core


def test_the_default_one_shows_every_core_setting() -> None:
    document = yaml.safe_load(_uncommented())
    text = (CONFIG / "relay.yaml").read_text()

    assert all(re.search(rf"^(?:# )?{name}:", text, re.MULTILINE) for name in CoreSettings.model_fields)
    for name in NESTED:
        inner = CoreSettings.model_fields[name].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        assert set(inner.model_fields) == set(document[name])
