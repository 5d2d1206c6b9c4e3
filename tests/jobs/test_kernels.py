"""The same answers whatever kernels numpy's BLAS takes for the CPU: others round otherwise."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from tests.support.tied_data import ANSWERS

KERNELS = ("Haswell", "Nehalem", "Prescott")
"""Of OpenBLAS on x86-64; a CPU that runs the first runs all of them."""
FLOAT32 = 2e-5
"""What float32 sketches may cost a value."""


def runs_all() -> bool:
    if not any(library["internal_api"] == "openblas" for library in threadpool_info()):
        return False
    facts = Path("/proc/cpuinfo")
    flags = set(facts.read_text().split()) if facts.exists() else set()
    return platform.machine() == "x86_64" and {"avx2", "fma"} <= flags


@pytest.fixture(scope="module")
def by_kernel() -> dict[str, Any]:
    if not runs_all():
        pytest.skip("needs OpenBLAS on an x86-64 CPU with AVX2")
    found = {}
    for kernel in KERNELS:
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.tied_data"],
            env={**os.environ, "OPENBLAS_CORETYPE": kernel},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            check=True,
        )
        found[kernel] = json.loads(done.stdout)
    return found


def test_the_kernels_are_different_ones(by_kernel: dict[str, Any]) -> None:
    assert len({tuple(found["kernels"]) for found in by_kernel.values()}) == len(KERNELS)


@pytest.mark.parametrize("name", ANSWERS)
def test_ties_have_one_answer_on_all_kernels(by_kernel: dict[str, Any], name: str) -> None:
    answers = [np.array(found["answers"][name]) for found in by_kernel.values()]
    for other in answers[1:]:
        np.testing.assert_allclose(other, answers[0], rtol=0, atol=FLOAT32)
