"""What `deploy/` says about Relay is true of Relay: paths, commands, variables, times."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from relay.cli.main import COMMANDS
from relay.config import Configuration, load
from relay.engine.health import Health

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OPERATORS_PORT = 8081
README = (DEPLOY / "README.md").read_text(encoding="utf-8")
CONTAINERFILE = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
KUBERNETES: dict[str, Any] = {
    each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
}
POD: dict[str, Any] = KUBERNETES["Deployment"]["spec"]["template"]
CONTAINER: dict[str, Any] = POD["spec"]["containers"][0]
RELAY: dict[str, Any] = COMPOSE["services"]["relay"]


def configured(path: Path) -> Configuration:
    """A configuration, with the variables that deploy/README.md says are needed."""
    listed = re.findall(r"^([A-Z_]+)=", README, re.MULTILINE)
    assert listed
    return load(path, environ=dict.fromkeys(listed, "x" * 40))


def unit() -> dict[str, list[str]]:
    """The settings of the systemd unit, each with all its values."""
    settings: dict[str, list[str]] = {}
    for line in (DEPLOY / "relay.service").read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings.setdefault(name, []).append(value)
    return settings


def command(words: list[str]) -> tuple[str, Path]:
    """The command's name and its configuration, as `relay` would take them."""
    name, option, path = words
    assert "--config" == option
    return name, Path(path)


def health_paths() -> set[str]:
    application = web.Application()
    Health(dict).add_to(application)
    return {resource.canonical for resource in application.router.resources()}


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*.yaml")), ids=lambda path: path.name)
def test_every_yaml_file_is_valid(path: Path) -> None:
    assert all(list(yaml.safe_load_all(path.read_text(encoding="utf-8"))))


def test_the_readme_tells_of_every_file_and_of_no_other() -> None:
    table = README.partition("| file | for |")[2].partition("\n\n")[0]

    assert {path.name for path in DEPLOY.iterdir() if path.is_file()} - {"README.md", "relay.env"} == set(
        re.findall(r"`([\w.]+)`", table)
    )


def test_the_configuration_for_containers_loads_with_the_variables_the_readme_lists() -> None:
    configuration = configured(DEPLOY / "relay.yaml")

    assert "commercial" == configuration.core.mode
    assert (f"0.0.0.0:{OPERATORS_PORT}",) == tuple(configuration.core.operator_listen)


def test_every_command_that_is_started_exists() -> None:
    started = command(shlex.split(unit()["ExecStart"][0])[1:])
    in_image = command(json.loads(CONTAINERFILE.rpartition("CMD ")[2]))

    assert {("serve",)} <= {entry.words for entry in COMMANDS}
    assert ("serve", Path("/etc/relay/relay.yaml")) == started == in_image
    assert 'ENTRYPOINT ["relay"]' in CONTAINERFILE


def test_the_unit_reloads_with_sighup_and_lets_the_supervisor_drain() -> None:
    settings = unit()

    assert ["kill -HUP $MAINPID"] == settings["ExecReload"]
    assert ["mixed"] == settings["KillMode"]
    assert ["yes"] == settings["NoNewPrivileges"]
    assert ["strict"] == settings["ProtectSystem"]
    assert [configured(DEPLOY / "relay.yaml").core.data] == [
        Path("/var/lib") / each for each in settings["StateDirectory"]
    ]


def test_whoever_stops_relay_waits_longer_than_it_drains() -> None:
    drain_s = configured(DEPLOY / "relay.yaml").core.limits.drain_seconds
    pause_s = float(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])

    assert drain_s + pause_s + 3 < POD["spec"]["terminationGracePeriodSeconds"]
    assert drain_s + 3 < float(RELAY["stop_grace_period"].removesuffix("s"))
    assert drain_s + 3 < float(unit()["TimeoutStopSec"][0])


def test_probes_ask_the_operators_port_for_paths_that_exist() -> None:
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    probes = {name: CONTAINER[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    in_compose = re.findall(r"http://127\.0\.0\.1:(\d+)(/[\w/-]+)", " ".join(RELAY["healthcheck"]["test"]))

    assert {"startup": "/-/health/startup", "liveness": "/-/health/live", "readiness": "/-/health/ready"} == {
        name: probe["path"] for name, probe in probes.items()
    }
    assert {probe["path"] for probe in probes.values()} == health_paths()
    assert {OPERATORS_PORT} == {ports[probe["port"]] for probe in probes.values()}
    assert [(str(OPERATORS_PORT), "/-/health/ready")] == in_compose


def test_prometheus_is_sent_to_the_route_of_the_plugin() -> None:
    annotations = POD["metadata"]["annotations"]
    configuration = configured(DEPLOY / "relay.yaml")
    routes = [route.path for loaded in configuration.chain for route in loaded.plugin.routes()]

    assert annotations["prometheus.io/path"] in routes
    assert str(OPERATORS_PORT) == annotations["prometheus.io/port"]


def test_the_operators_port_is_not_published() -> None:
    published = [str(port) for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    served = KUBERNETES["Service"]["spec"]["ports"]
    rules = KUBERNETES["NetworkPolicy"]["spec"]["ingress"]

    assert ["127.0.0.1:8080:8080"] == published
    assert ["http"] == [port["targetPort"] for port in served]
    assert all("from" in rule for rule in rules if {"port": "operators"} in rule["ports"])


def test_everything_in_the_cluster_means_the_same_pods() -> None:
    labels = {"app.kubernetes.io/name": "relay"}

    assert labels == POD["metadata"]["labels"]
    assert labels == KUBERNETES["Deployment"]["spec"]["selector"]["matchLabels"]
    assert labels == KUBERNETES["Service"]["spec"]["selector"]
    assert labels == KUBERNETES["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    assert labels == KUBERNETES["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]


def test_containers_run_as_nobody_in_particular_on_a_root_that_is_read_only() -> None:
    user = CONTAINERFILE.partition("\nUSER ")[2].partition(":")[0]
    data = str(configured(DEPLOY / "relay.yaml").core.data)

    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert POD["spec"]["securityContext"]["runAsNonRoot"] is True
    assert int(user) == POD["spec"]["securityContext"]["runAsUser"]
    assert RELAY["read_only"] is True
    assert [f"{data}:mode=0700,uid={user},gid={user}"] == RELAY["tmpfs"]
    assert {"name": "data", "mountPath": data} in CONTAINER["volumeMounts"]


def test_what_is_mounted_lies_where_the_configuration_looks_for_it() -> None:
    text = (DEPLOY / "relay.yaml").read_text(encoding="utf-8")
    mounts = {mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    in_compose = {volume.split(":")[1]: volume.split(":")[0] for volume in RELAY["volumes"]}

    assert "file: /etc/relay-keys/keys.yaml" in text
    assert {"/etc/relay", "/etc/relay-keys"} < mounts
    assert {"/etc/relay/relay.yaml": "./relay.yaml", "/etc/relay-keys": "./keys"} == in_compose


def test_the_image_is_built_from_what_is_there() -> None:
    sources = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    named = [name for line in sources for name in line.split()]

    assert {"relay", "plugins", "constraints.txt", "setup.cfg", "pyproject.toml"} <= set(named)
    assert [] == [name for name in named if not (ROOT / name).exists()]
    assert "--constraint constraints.txt" in CONTAINERFILE


def test_images_are_named_without_a_registrys_host() -> None:
    images = re.findall(r"^FROM (\S+)", CONTAINERFILE, re.MULTILINE)
    images += [service["image"] for service in COMPOSE["services"].values()] + [CONTAINER["image"]]

    assert [] == [
        image for image in images if "." in image.split("/")[0].split(":")[0] or "/" in image.partition("/")[2]
    ]
    assert [] == re.findall(r"--(?:extra-)?index-url|https?://", CONTAINERFILE)
