"""`relay`: finds the command and runs it. The core's commands are the table below, the others come from plugins.

Modules are imported when their command runs, so that `relay --version` and a worker's start stay quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from relay.errors import ConfigurationError, RelayError
from relay.version import VERSION


@dataclass(frozen=True, slots=True)
class Option:
    """An argument of a core command, as argparse takes it."""

    flags: tuple[str, ...]
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A core command: its words, what it does, and `module:function`, which gets the arguments and gives the exit status."""

    words: tuple[str, ...]
    summary: str
    run: str
    options: tuple[Option, ...] = ()
    configured: bool = True
    """Does it take `--config`?"""


COMMANDS: tuple[Entry, ...] = (
    Entry(
        ("serve",),
        "serve the configuration",
        "relay.cli.serve:serve",
        (
            Option(
                ("--say",),
                {"metavar": "TEXT", "help": "print this once the relay serves; `-`: what stands on standard input"},
            ),
        ),
    ),
    Entry(("check",), "read the configuration and show what it makes; nothing is opened", "relay.cli.check:check"),
    Entry(
        ("migrate",),
        "bring the database to what this version's plugins need; beside relays that serve, before new ones do",
        "relay.cli.migrate:migrate",
        (Option(("--check",), {"action": "store_true", "help": "change nothing; 1 if something is missing"}),),
    ),
    Entry(
        ("schema",),
        "print the JSON schema of a configuration with every installed plugin, for editors",
        "relay.cli.schema:schema",
        configured=False,
    ),
    Entry(("plugins",), "show the installed plugins and dialects", "relay.cli.plugins:plugins", configured=False),
    Entry(
        ("plugin", "new"),
        "make a folder with a new plugin and its tests",
        "relay.cli.plugin_new:new",
        (
            Option(("name",), {"metavar": "NAME", "help": "its name: lower case letters, digits and _"}),
            Option(
                ("--to",),
                {"metavar": "DIR", "help": "the folder to make it in (default: plugins)", "default": "plugins"},
            ),
        ),
        configured=False,
    ),
    Entry(
        ("docs",),
        "write the tables of settings, errors, headers, routes and commands into the READMEs",
        "relay.cli.docs:docs",
        (Option(("--check",), {"action": "store_true", "help": "change nothing; 1 if something is out of date"}),),
        configured=False,
    ),
)

CORE_WORDS = frozenset(entry.words[0] for entry in COMMANDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. :returns: its exit status: 0 done, 1 it failed and said why on stderr, 2 the command line is wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(given)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        count = len(error.problems)
        print(f"{count} problem{'s' if count != 1 else ''}", file=sys.stderr)
        return 1
    except RelayError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone (`relay schema | head`). Nothing can be said any more, also not by the interpreter's last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(given: list[str]) -> int:
    words = _words(given)
    parser = argparse.ArgumentParser(
        prog="relay", description="A self-hosted AI API gateway.", parents=[_config_option()], allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"relay {VERSION}")
    nouns = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    groups: dict[str, Any] = {}
    for entry in COMMANDS:
        _add(nouns, groups, entry)
    if "--version" not in given and (not words or words[0] not in CORE_WORDS):
        # Only now, because it loads the configuration and the plugins' code.
        import_module("relay.cli.commands").add(nouns, groups, _config_option(), _config_of(given), noun=words[:1])
    parsed = parser.parse_args(given)
    return _function(parsed.run)(parsed)


def _function(run: str | Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """A plugin's command comes as a function, a core command by name."""
    if not isinstance(run, str):
        return run
    module, _, name = run.partition(":")
    function: Callable[[argparse.Namespace], int] = getattr(import_module(module), name)
    return function


def _add(nouns: Any, groups: dict[str, Any], entry: Entry) -> None:
    parents = [_config_option()] if entry.configured else []
    summary = {"help": entry.summary, "description": entry.summary[0].upper() + entry.summary[1:] + "."}
    if len(entry.words) == 1:
        parser = nouns.add_parser(entry.words[0], parents=parents, allow_abbrev=False, **summary)
    else:
        noun, verb = entry.words
        if noun not in groups:
            groups[noun] = nouns.add_parser(noun, help=f"{noun} …", allow_abbrev=False).add_subparsers(
                metavar="VERB", required=True
            )
        parser = groups[noun].add_parser(verb, parents=parents, allow_abbrev=False, **summary)
    for option in entry.options:
        parser.add_argument(*option.flags, **option.settings)
    parser.set_defaults(run=entry.run)


def _config_option() -> argparse.ArgumentParser:
    """`--config`, which may stand before and behind the command's words."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    parser.add_argument(
        "--config", metavar="FILE", help="the configuration (default: $RELAY_CONFIG, ./relay.yaml or config/relay.yaml)"
    )
    return parser


def _config_of(given: list[str]) -> str | None:
    path: str | None = getattr(_config_option().parse_known_args(given)[0], "config", None)
    return path


def _words(given: list[str]) -> list[str]:
    """The words before the first option, without `--config FILE`."""
    rest = _config_option().parse_known_args(given)[1]
    return [] if rest[:1] and rest[0].startswith("-") else rest
