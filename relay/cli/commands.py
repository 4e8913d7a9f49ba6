"""The commands that plugins bring: `relay <noun> <verb>`."""

from __future__ import annotations

import argparse
import asyncio
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from relay.cli.configured import path_of
from relay.cli.opening import opened
from relay.cli.options import add_options, read_options
from relay.config import Configuration, CoreSettings, installed, load
from relay.declare import Command
from relay.errors import ConfigurationError
from relay.plugin import Plugin


@dataclass(frozen=True, slots=True)
class _Found:
    plugin: Plugin
    command: Command


def add(
    nouns: Any, groups: dict[str, Any], config_option: argparse.ArgumentParser, config: str | None, *, noun: list[str]
) -> None:
    """Add the commands of the configuration's plugins, or, where there is no configuration, of all that are installed.

    :param nouns: argparse's sub-parsers; `groups` those of the nouns, by noun.
    :param noun: the noun that was asked for; without one (help) a configuration with problems adds nothing.
    :raises ConfigurationError: the configuration has problems, and the noun may be one of its plugins'.
    """
    path = path_of(config)
    configuration: Configuration | None = None
    if path is not None:
        try:
            configuration = load(path)
        except ConfigurationError:
            if noun:
                raise
            return
    plugins = [loaded.plugin for loaded in configuration.chain] if configuration else list(_unconfigured())
    for plugin in plugins:
        for command in plugin.commands():
            _add(nouns, groups, config_option, _Found(plugin, command), plugins, configuration)


def _unconfigured() -> Iterator[Plugin]:
    """The installed plugins that need no settings. The others cannot be asked without a configuration."""
    known = installed.installed(installed.PLUGINS)
    for name in known:
        try:
            yield installed.load_plugin(installed.find(known, name, "plugin"))()
        except (installed.NotLoaded, ValidationError):
            continue


def _add(
    nouns: Any,
    groups: dict[str, Any],
    config_option: argparse.ArgumentParser,
    found: _Found,
    plugins: list[Plugin],
    configuration: Configuration | None,
) -> None:
    command = found.command
    if command.noun not in groups:
        noun = nouns.add_parser(command.noun, help=f"{found.plugin.name}: {command.noun} …", allow_abbrev=False)
        groups[command.noun] = noun.add_subparsers(metavar="VERB", required=True)
    words = inspect.cleandoc(command.takes.__doc__ or "").replace("%", "%%")
    parser = groups[command.noun].add_parser(
        command.verb, help=words.split("\n", 1)[0], description=words, parents=[config_option], allow_abbrev=False
    )
    add_options(parser, command.takes)
    parser.set_defaults(run=partial(_run, found, plugins, configuration))


def _run(
    found: _Found, plugins: list[Plugin], configuration: Configuration | None, arguments: argparse.Namespace
) -> int:
    """:raises RelayError: the options do not fit, or whatever the command raises to say that it failed."""
    taken = read_options(arguments, found.command.takes)

    async def run() -> int:
        if not found.command.opened:
            return await found.command.run(taken) or 0
        core = configuration.core if configuration else unconfigured_core()
        dialects = dict(configuration.dialects) if configuration else {}
        async with opened(found.plugin, plugins, core, dialects):
            return await found.command.run(taken) or 0

    return asyncio.run(run())


def unconfigured_core() -> CoreSettings:
    """The core's settings where there is no configuration: the defaults, in the folder one stands in."""
    return CoreSettings.model_validate({}, context={"directory": Path.cwd()})
