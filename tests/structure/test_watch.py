"""Alerts and dashboard ask only for figures that exist, with labels and values that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from relay_metrics.folder import Folder
from relay_metrics.plugin import MetricsSettings
from relay_metrics.series import Series
from relay_metrics.traffic import Traffic
from relay_routing.breaker import State

from relay.config import load
from relay.errors import CORE_CODES
from relay.exchange import Outcome
from relay.testing.server import serve

DEPLOY = Path(__file__).parents[2] / "deploy"
CONFIGURATION = """
plugins:
  - auth: {file: keys.yaml}
  - routing: {providers: {up: {dialect: openai, base_url: "https://up.example"}}, models: {"*": [{provider: up}]}}
  - metrics:
"""
FROM_PROMETHEUS = {"job", "instance", "le"}
STATUSES = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"}


def queries() -> Iterator[tuple[str, str]]:
    """Where each query stands, and the query."""
    rules = yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    yield from ((rule["alert"], rule["expr"]) for rule in rules)
    board = json.loads((DEPLOY / "dashboard.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", []))


@pytest.fixture
async def metrics(tmp_path: Path) -> dict[str, set[str]]:
    """The labels of every figure, by its name on a scrape."""
    config = tmp_path / "relay.yaml"
    config.write_text(CONFIGURATION, encoding="utf-8")
    (tmp_path / "keys.yaml").write_text("[]", encoding="utf-8")
    configuration = load(config)
    found: dict[str, set[str]] = {}
    plugins = [loaded.plugin for loaded in configuration.chain]
    async with serve(plugins, dialects=list(configuration.dialects.values()), targets=()) as served:
        for gauge in served.gateway.gauges():
            found[gauge.name] = set(gauge.labels)
    settings = MetricsSettings()
    with Folder(tmp_path / "metrics").joined():
        traffic = Traffic(settings.duration_buckets, settings.first_event_buckets, lambda: None, lambda: None)
        for metric in [series._metric for series in vars(traffic).values() if isinstance(series, Series)]:
            endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}[metric._type]
            found |= {metric._name + ending: set(metric._labelnames) for ending in endings}
    return found


def test_every_figure_that_is_asked_for_exists_with_its_labels(metrics: dict[str, set[str]]) -> None:
    wrong = []
    for place, query in queries():
        names = re.findall(r"\brelay_\w+", query)
        known = FROM_PROMETHEUS.union(*(metrics.get(name, set()) for name in names))
        grouped = {label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", query) for label in labels.split(",")}
        wrong += [(place, name) for name in names if name not in metrics]
        wrong += [(place, label) for label in grouped - known]
        for name, selector in re.findall(r"\b(relay_\w+)\{([^}]*)\}", query):
            labels = set(re.findall(r"(\w+)\s*(?:=|!=)", selector))
            wrong += [(place, label) for label in labels - metrics.get(name, set()) - FROM_PROMETHEUS]

    assert [] == wrong
    assert {"relay_requests_total", "relay_breaker_state", "relay_auth_file_stale"} <= set(metrics)


def test_every_value_that_is_asked_for_can_occur() -> None:
    values: dict[str, set[str]] = {
        "code": {code.code for code in CORE_CODES},
        "outcome": set(get_args(Outcome)),
        "state": set(get_args(State)),
        "status": STATUSES,
        "provider": {"none"},
    }
    asked = [
        (place, label, value)
        for place, query in queries()
        for label, value in re.findall(r'\b(\w+)!?="([^"]*)"', query)
        if label not in FROM_PROMETHEUS
    ]

    assert asked
    assert [] == [(place, label, value) for place, label, value in asked if value not in values[label]]


def test_every_alert_says_how_urgent_it_is_and_what_to_do() -> None:
    rules: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0][
        "rules"
    ]

    assert len(rules) == len({rule["alert"] for rule in rules})
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert {"summary", "action"} == set(rule["annotations"])
        shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert shown <= FROM_PROMETHEUS | set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", rule["expr"]))))


def test_every_panel_asks_the_data_source_that_the_reader_chose() -> None:
    board = json.loads((DEPLOY / "dashboard.json").read_text(encoding="utf-8"))
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]

    assert len(board["panels"]) == len({panel["id"] for panel in board["panels"]})
    assert {"${datasource}"} == {panel["datasource"]["uid"] for panel in panels}
    assert all(panel["targets"] and panel["fieldConfig"]["defaults"]["unit"] for panel in panels)
