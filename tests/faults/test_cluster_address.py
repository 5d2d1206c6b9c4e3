"""A Ray that somebody else started, in a folder of its own."""

import subprocess
import sys
from pathlib import Path

from tests.faults.conftest import MakeSweep
from tests.faults.sweeps import Sweep
from tests.support import ray_nodes


def test_a_cluster_gives_the_same_tables_from_relative_paths(
    make_sweep: MakeSweep, undisturbed: Sweep, token: None, tmp_path: Path
) -> None:
    sweep = make_sweep("sweep")
    with ray_nodes.head(tmp_path / "elsewhere", cpus=2) as head:
        # Relative paths, which are not those of the folder that the cluster was started in.
        command = [sys.executable, "-m", "sweep", "run", "spec.yaml", "--address", head.address]
        command += ["--out", "run", "--cache", "cache"]
        here = sweep.spec.parent
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        assert [path.name for path in (tmp_path / "elsewhere" / "head").iterdir()] == ["log"]
    assert sweep.tables() == undisturbed.tables()
    assert sweep.shards()
