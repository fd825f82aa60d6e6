"""The words of the command line: commands, options, and how their values are read."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from . import __version__, config

Run = Callable[..., None]


class Failure(Exception):
    """An error for the user: the message, and the exit code."""

    def __init__(self, message: object, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


class Parser(argparse.ArgumentParser):
    """Errors are raised for `main` to show, instead of printed together with the usage."""

    def error(self, message: str) -> NoReturn:
        raise Failure(f"{message} (see {self.prog} --help)")


def make_parser(run: Run, commands: Mapping[str, Run]) -> Parser:
    """The parser of the whole line; `run` of its result is the function to call.

    Args:
        run: what to do without a command.
        commands: what contract, plan and info do.
    """
    parser = Parser(
        prog="tensornet",
        description="Plan and contract tensor networks. Without a command: one amplitude of the "
        "embedded 53-qubit, 10-cycle Sycamore circuit.",
    )
    parser.add_argument("--version", action="version", version=f"tensornet {__version__}")
    parser.set_defaults(run=run)
    _add_options(parser, top=True)
    names = parser.add_subparsers(title="commands", metavar="COMMAND")
    files = "a .qsim circuit, .uai model or .json network; each may be gzipped"
    for name, text in (
        ("contract", "contract the network of a file"),
        ("plan", "plan the contraction of a file's network, and show the plan"),
    ):
        command = names.add_parser(name, help=text, description=text)
        command.set_defaults(run=commands[name])
        command.add_argument("file", metavar="FILE", help=files)
        outcome = "circuits: an outcome, qubit 0 first (zeros); may be given several times"
        command.add_argument("--bitstring", action="append", metavar="BITS", help=outcome)
        command.add_argument("--evidence", metavar="FILE", help="models: instead of FILE.evid")
        command.add_argument("--random", action="store_true", help="networks: seeded values")
        _add_options(command, top=False)
    info = names.add_parser("info", help="version, instruction set, threads, cache sizes")
    info.set_defaults(run=commands["info"])
    _add_json(info, top=False)
    return parser


def _add_json(parser: argparse.ArgumentParser, top: bool) -> None:
    # A command must not overwrite with its defaults what stood before it on the command line.
    default = False if top else argparse.SUPPRESS
    parser.add_argument(
        "--json", action="store_true", default=default, help="print one JSON object"
    )


def _add_options(parser: argparse.ArgumentParser, top: bool) -> None:
    def option(name: str, default: Any, **kwargs: Any) -> None:
        parser.add_argument(name, default=default if top else argparse.SUPPRESS, **kwargs)

    memory = "bytes that a run may allocate, such as 512MB or 4GiB (half of what is available)"
    option("--memory-limit", None, metavar="SIZE", type=_size, help=memory)
    option("--threads", None, metavar="N", type=_whole(1), help="threads (all CPUs allowed)")
    option("--dtype", None, help="complex64, complex128, float32, float64, float16")
    option("--seed", 0, metavar="N", type=_whole(0), help="of the search and of --random (0)")
    option("--optimize", "auto", metavar="NAME", help="the planner, or an opt_einsum path name")
    goals = "what the planner makes small: macs, size, write, combo or time (macs)"
    option("--minimize", "macs", metavar="GOAL", help=goals)
    option("--max-time", None, metavar="SECONDS", type=_seconds, help="for the search of a plan")
    option("--plan", None, metavar="PLAN", dest="plan_file", help="take the plan from this file")
    option("--save", None, metavar="PLAN", help="save the plan to this file")
    kept = "keep the sums of finished slices in this file, and continue from it when run again"
    option("--checkpoint", None, metavar="FILE", help=kept)
    _add_json(parser, top)
    option(
        "--progress",
        None,
        action=argparse.BooleanOptionalAction,
        help="show progress on the standard error stream, or not (shown on a terminal)",
    )


def _size(text: str) -> int | None:
    try:
        return config.parse_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _whole(least: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) >= least):
            raise argparse.ArgumentTypeError(f"expected a whole number from {least}, got {text!r}")
        return int(text)

    return convert


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a positive number of seconds, got {text!r}")
    return value
