"""``sweep doctor``: checks of the machine, and of the exactness of a model's padded batches."""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.extraction.padding_check import LIMIT, LayerCheck, check_mask
from jobs.models import load_model
from jobs.models.errors import ModelError
from jobs.models.padding import CannotMask
from jobs.optional_packages import OPTIONAL_PACKAGES
from sweep.commands.print_layers import find_model
from sweep.errors import UsageError
from sweep.executors.preflight import SPARE_BYTES
from sweep.own_packages import DISTRIBUTION
from sweep.plan.provenance import hardware
from sweep.progress.wording import printable
from sweep.wording import counted

DECISIVE = ("processor", "CUDA GPUs", "cache")
"""Findings that decide how fast sweeps are, and how large they may be."""
OPTIONAL = "not installed; optional: "
SHOWN = 10
"""Number of layers with the largest errors that are printed."""


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    what: str
    found: str
    remedy: str = ""
    """Advice for a remedy; empty if the check succeeded."""


def print_environment(cache: Path, *, everything: bool = False) -> bool:
    """Print whether this machine can run sweeps, what it lacks, and the next command.

    Args:
        cache: the activation cache.
        everything: print every check, also those that succeeded.
    """
    findings = list(examine(cache))
    wrong = [finding for finding in findings if finding.remedy]
    if everything or wrong:
        table = Table(show_header=False, box=None, pad_edge=False)
        for finding in findings if everything else wrong:
            state = Text("WRONG", "bold red") if finding.remedy else Text("ok", "green")
            table.add_row(state, finding.what, Text(printable(finding.found), overflow="fold"))
        _console().print(table)
    for line in verdict(findings):
        print(printable(line))
    return not wrong


def verdict(findings: Sequence[Finding]) -> Iterator[str]:
    """Say whether sweeps can run, with the facts that decide how fast, and the next command."""
    wrong = [finding for finding in findings if finding.remedy]
    if wrong:
        yield f"this machine cannot run sweeps yet: {counted(len(wrong), 'problem')}"
        yield from (f"{finding.what}: {finding.remedy}" for finding in wrong)
        yield "then check again: sweep doctor"
        return
    yield "this machine can run sweeps"
    yield from (f"{one.what}: {one.found}" for one in findings if one.what in DECISIVE)
    absent = [finding.what for finding in findings if OPTIONAL in finding.found]
    if absent:
        yield f"optional, not installed: {', '.join(absent)} (see `sweep doctor --all`)"
    yield "next: sweep init --csv TABLE for your own data, or sweep run demo"


def examine(cache: Path) -> Iterator[Finding]:
    """Check everything that a sweep needs on the machine where it is started."""
    version = ".".join(map(str, sys.version_info[:3]))
    wrong = sys.version_info < (3, 11)
    yield Finding("Python", version, "install CPython 3.11 or later" if wrong else "")
    yield from _packages()
    yield _importable("Ray", "sweep.executors.session")
    machine = hardware()
    threads = f"{torch.get_num_threads()} threads of torch on {machine['cores']} cores"
    yield Finding("processor", f"{machine['processor']}, {threads}, {machine['memory_gib']} GiB")
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    none = "none: extraction runs on the CPU (compute.extractor.gpus: 0)"
    yield Finding("CUDA GPUs", ", ".join(gpus) or none)
    yield _cache(cache)


def _packages() -> Iterator[Finding]:
    """Check the packages that this project requires, and the optional ones."""
    for requirement in metadata.requires(DISTRIBUTION) or []:
        if "extra ==" in requirement:
            continue
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        try:
            yield Finding(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, "not installed", f"pip install '{requirement}'")
    for package in OPTIONAL_PACKAGES:
        missing = package.missing()
        absent = f"{OPTIONAL}{package.command}"
        yield Finding(package.name, package.version if missing is None else absent)


def _importable(what: str, module: str) -> Finding:
    """Check a native library through the module that uses it."""
    try:
        __import__(module)
    except (ImportError, OSError, RuntimeError) as error:
        return Finding(what, "cannot be used", f"{type(error).__name__}: {error}; install it again")
    return Finding(what, "can be imported")


def _cache(cache: Path) -> Finding:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        remedy = "choose another with --cache or $SWEEP_CACHE"
        return Finding("cache", f"{cache} cannot be written to: {error.strerror}", remedy)
    free = shutil.disk_usage(cache).free
    few = "make room, or choose another with --cache or $SWEEP_CACHE"
    return Finding(
        "cache",
        f"{cache}, {free / 2**30:.1f} GiB free",
        few if free < SPARE_BYTES else "",
    )


def print_model_check(model: str) -> bool:
    """Print how exact the padded batches of a model are; return whether they are exact enough, or
    never used.

    Raises:
        UsageError: the model does not exist, or cannot be loaded.
    """
    settings, pooling = find_model(model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        loaded = load_model(settings)
    except ModelError as error:
        raise UsageError(str(error)) from None
    name = printable(settings.name)
    try:
        checks = check_mask(loaded, pooling, device)
    except CannotMask as error:
        print(printable(f"{name}: not masked: {error}; a sweep does so by itself"))
        return True
    _console().print(_table(checks, f"{name} on {device}: a padded batch beside one at a time"))
    worst = max(checks, key=lambda check: check.ratio)
    exact = worst.ratio <= LIMIT
    verdict = "exact to rounding" if exact else "NOT exact: do not use padded batches"
    print(
        f"{name}: {verdict}; the worst of {len(checks)} layers is {worst.layer}, "
        f"its error {worst.ratio:.2f} times the rounding error (at most {LIMIT:g})"
    )
    return exact


def _table(checks: list[LayerCheck], title: str) -> Table:
    table = Table(title=Text(title), caption=f"the {SHOWN} worst layers")
    table.add_column("layer")
    for column in ("masked against alone", "float32 against float64", "ratio"):
        table.add_column(column, justify="right")
    for check in sorted(checks, key=lambda check: -check.ratio)[:SHOWN]:
        errors = f"{check.error:.1e}", f"{check.rounding:.1e}", f"{check.ratio:.2f}"
        table.add_row(Text(printable(check.layer)), *errors)
    return table


def _console() -> Console:
    """Make a console as wide as the terminal; in a file or a pipe, without line wrapping."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)
