"""`relay check`: what a configuration makes, without opening anything."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence

from relay.cli.columns import columns
from relay.cli.configured import configuration
from relay.config import Configuration
from relay.declare import Job
from relay.errors import CORE_CODES


def check(arguments: argparse.Namespace) -> int:
    """Print the chain, routes, jobs, tables with their personal data, commands and error codes."""
    for line in report(configuration(arguments)):
        print(line)
    return 0


def report(configuration: Configuration) -> Iterator[str]:
    """The lines that `relay check` prints."""
    core, plugins = configuration.core, [loaded.plugin for loaded in configuration.chain]
    yield f"{configuration.path}: no problems"
    yield f"  mode {core.mode}, {core.workers} worker{'s' if core.workers != 1 else ''}, data in {core.data}"
    yield f"  listening on {', '.join(core.listen)}; for operators on {', '.join(core.operator_listen) or 'nothing'}"
    yield f"  configuration {configuration.hash}"
    yield from _part(
        "Chain, top to bottom",
        (
            (
                plugin.name,
                f"line {loaded.line}",
                "reads content" if plugin.reads_content else "",
                _ports("provides", plugin.provides),
                _ports("needs", plugin.needs),
            )
            for loaded, plugin in zip(configuration.chain, plugins, strict=True)
        ),
    )
    yield from _part(
        "Dialects",
        (
            (name, f"{len(dialect.surfaces)} surfaces", "served" if name in core.dialects else "to providers only")
            for name, dialect in configuration.dialects.items()
        ),
    )
    yield from _part(
        "Routes",
        ((route.method, route.path, route.permission, plugin.name) for plugin in plugins for route in plugin.routes()),
    )
    yield from _part(
        "Jobs",
        ((job.name, _when(job), f"in each {job.scope}" if job.scope != "cluster" else "once in the cluster", plugin.name)
         for plugin in plugins for job in plugin.jobs()),
    )  # fmt: skip
    yield from _part(
        "Commands",
        (
            (f"relay {command.noun} {command.verb}", command.permission, plugin.name)
            for plugin in plugins
            for command in plugin.commands()
        ),
    )
    yield from _part(
        "Tables",
        (
            (f"{plugin.name}.{table.name}", f"kept {table.keeps}", "content" if table.content else "")
            for plugin in plugins
            for table in plugin.stores
        ),
    )
    yield from _part(
        "Personal data",
        (
            (f"{plugin.name}.{table.name}.{column.name}", column.personal or "", column.why)
            for plugin in plugins
            for table in plugin.stores
            for column in table.columns
            if column.personal
        ),
    )
    codes = [("relay", code) for code in CORE_CODES]
    codes += [(plugin.name, code) for plugin in plugins for code in plugin.errors]
    yield from _part("Error codes", ((code.code, str(code.status), by, code.meaning) for by, code in codes))


def _part(title: str, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield title
    yield from list(columns(rows)) or ["  none"]


def _ports(verb: str, ports: tuple[type, ...]) -> str:
    return f"{verb} {', '.join(port.__name__ for port in ports)}" if ports else ""


def _when(job: Job) -> str:
    return f"daily at {job.at} UTC" if job.at else f"every {job.every:g} s"
