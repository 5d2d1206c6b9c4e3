"""What only some sweeps need: where it is declared, and what is said where it is missing."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from jobs.models.errors import ModelError
from jobs.models.wespeaker.arguments import network_builder
from jobs.models.wespeaker.package import import_network_module
from jobs.optional_packages import (
    OPTIONAL_PACKAGES,
    PYARROW,
    WESPEAKER,
    MissingPackageError,
    OptionalPackage,
)
from sweep.errors import SpecError
from sweep.prepare.prepare import load_and_prepare

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def names(requirements):
    return [re.split(r"[^\w-]", one, maxsplit=1)[0] for one in requirements]


def test_each_is_in_one_extra_and_nothing_else_is():
    extras = [name for extra in PROJECT["optional-dependencies"].values() for name in names(extra)]
    assert sorted(extras) == sorted(package.name for package in OPTIONAL_PACKAGES)
    assert not set(extras) & set(names(PROJECT["dependencies"]))


def test_what_is_missing_is_named_with_the_command_that_installs_it():
    absent = OptionalPackage("some-package", "no_such_module")
    message = "the package some-package is not installed: pip install some-package"
    assert absent.missing() == message
    for ask in (absent.require, absent.load, lambda: absent.version):
        with pytest.raises(MissingPackageError, match=f"^{message}$"):
            ask()
    alone = OptionalPackage("some-package", "no_such_module", with_dependencies=False)
    assert alone.command == "pip install --no-deps some-package"


def test_what_is_there_is_loaded():
    package = OptionalPackage("numpy", "numpy")
    assert package.missing() is None
    assert package.load("linalg") is sys.modules["numpy.linalg"]
    assert package.version == package.load().__version__
    assert PYARROW.module == "pyarrow"


def test_a_network_of_wespeakers_is_refused_without_it(monkeypatch):
    import_network_module.cache_clear()
    monkeypatch.setitem(sys.modules, WESPEAKER.module, None)
    with pytest.raises(ModelError, match=r"^XVEC: .* pip install --no-deps wespeaker-unofficial$"):
        network_builder("XVEC")


@pytest.mark.parametrize(
    ("module", "corpus", "command"),
    [
        (
            "espeakng_loader",
            {
                "kind": "espeak",
                "speakers": {"train": 2, "validation": 2, "test": 2},
                "utterances_per_speaker": 2,
            },
            "kind: espeak: .* pip install espeakng-loader",
        ),
        (
            "lhotse",
            {"kind": "lhotse", "splits": {"train": {"recordings": "r", "supervisions": "s"}}},
            "kind: lhotse: .* pip install lhotse",
        ),
    ],
)
def test_a_corpus_is_refused_at_its_place_without_its_package(
    spec_values, write_spec, tmp_path, monkeypatch, module, corpus, command
):
    monkeypatch.setitem(sys.modules, module, None)
    spec_values["corpus"] = corpus
    with pytest.raises(SpecError, match=rf"spec\.yaml:\d+:\d+: {command}$"):
        load_and_prepare(write_spec(spec_values), (), tmp_path)
