"""The recipes in docker/, as far as a machine without an engine, a cluster or a scheduler can tell.

What is checked by running: the Dockerfile's own build of this project, in a fresh environment; the
Slurm script, on two Ray nodes, with stand-ins for Slurm's commands. What is checked against a
schema or by a linter: the Compose files (compose-spec's, as check-jsonschema has it), the
Kubernetes pods and claim (Kubernetes' own, strictly, as kubernetes-validate has them), the
Dockerfile (hadolint), the shell script (shellcheck). What is checked by reading: the rest, and that
every option that the recipes name is one that ``ray`` and ``sweep`` have.
"""

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.scripts import scripts
from typer.main import get_command

from sweep.commands.app import app

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
RECIPES = [path for path in DOCKER.rglob("*") if path.is_file()]


def load(name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((DOCKER / name).read_text())
    return values


def locked(package: str) -> str:
    lock = (ROOT / "requirements.lock").read_text()
    [version] = re.findall(rf"^{package}==(.*)$", lock, re.MULTILINE)
    return str(version)


def instructions(text: str) -> list[tuple[str, str]]:
    """(keyword, rest) of a Dockerfile's instructions, continued lines joined."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    words = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return [(keyword, rest) for keyword, rest in words]


def commands() -> Iterator[tuple[list[str], list[str]]]:
    """Every ``ray`` or ``sweep`` command of the recipes: its words, and the options it is given."""
    for path in RECIPES:
        text = re.sub(r"\\\n\s*|\n\s+(?=--)", " ", path.read_text())
        text = text.replace('"${NODE[@]}"', "ray start")
        for found in re.finditer(r"\b(ray|sweep) ([a-z-]+)( [^`#&|\n]*)?", text):
            options = re.findall(r"(?<![\w-])--[a-z][a-z-]*", found[3] or "")
            if options:
                yield [found[1], found[2]], options


# --- The image


def test_the_image_is_one_for_all_with_a_user_a_lock_and_no_secret() -> None:
    steps = instructions(DOCKERFILE)
    assert ("ARG", "DEVICE=cpu") in steps
    assert ("FROM", "torch-${DEVICE} AS installed") in steps
    stages = {rest.rpartition(" AS ")[2] for keyword, rest in steps if keyword == "FROM"}
    assert {"torch-cpu", "torch-cuda"} <= stages
    assert ("USER", "1000") in steps[-3:]
    assert any("useradd --create-home --uid 1000 sweep" in rest for _, rest in steps)
    environment = dict(
        pair.split("=", 1)
        for keyword, rest in steps
        if keyword == "ENV"
        for pair in shlex.split(rest)
    )
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
    assert not re.search(r"TOKEN|SECRET|PASSWORD", " ".join(environment))


def test_the_builder_sees_what_is_copied_and_nothing_else() -> None:
    first, *rest = [
        line
        for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert first == "*"
    allowed = {line[1:] for line in rest if line.startswith("!")}
    copied = {
        source
        for keyword, rest in instructions(DOCKERFILE)
        if keyword == "COPY" and "--from" not in rest
        for source in [word for word in rest.split() if not word.startswith("--")][:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


HADOLINT_IGNORES = {
    "DL3006": "the base of `installed` is a stage of this file, its name has the device in it",
    "DL3008": "a version of wget that is pinned today is gone from Debian's mirrors next month",
    "DL3042": "PIP_NO_CACHE_DIR is set in the first stage",
    "DL3045": "WORKDIR is set in the first stage",
    "DL3059": "layers of the stages before the last are not shipped",
}


def test_the_dockerfile_is_as_its_linter_wants_it() -> None:
    ignored = [word for rule in HADOLINT_IGNORES for word in ("--ignore", rule)]
    lint(tool("hadolint"), "--no-color", *ignored, str(DOCKER / "Dockerfile"))


def tool(name: str) -> str:
    """A linter that the development packages bring."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"{name} is not installed: see requirements-dev.txt")
    return str(path)


def lint(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_shell_lines_of_the_image_are_shell() -> None:
    for keyword, rest in instructions(DOCKERFILE):
        if keyword == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)


@pytest.mark.slow
def test_the_images_own_build_of_the_project_runs_in_a_fresh_environment(tmp_path: Path) -> None:
    """All but downloads: packages come from this environment, and pip only resolves them."""
    venv, source = tmp_path / "venv", tmp_path / "src"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    environment = {**os.environ, "PATH": f"{venv / 'bin'}:{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    source.mkdir()
    for keyword, rest in instructions(DOCKERFILE):
        if keyword == "COPY" and "--from" not in rest and "--chown" not in rest:
            *names, to = rest.split()
            for name in names:
                place = source / (name if to == "./" else to)
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, place)
        elif keyword == "RUN" and rest.startswith("pip install") and "--index-url" not in rest:
            last = rest.endswith(" .")
            if last:  # what the lock would have brought
                packages = Path(sysconfig.get_path("purelib"))
                borrowed = venv / packages.relative_to(sys.prefix) / "borrowed.pth"
                borrowed.write_text(f"{packages}\n")
                forget = "pip uninstall -q -y setuptools"  # the older one of a new environment
                subprocess.run(forget, shell=True, env=environment, check=True)
            line = rest if last else rest.replace("install", "install --dry-run", 1)
            subprocess.run(line, shell=True, cwd=source, env=environment, check=True)
    show = "import sweep, jobs; print(sweep.__file__, jobs.__file__)"
    where = subprocess.run(
        [venv / "bin/python", "-c", show], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert where.count(str(venv)) == 2
    command = [venv / "bin/sweep", "layers", "SimAM_ResNet34_ASP"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)


# --- Compose


def test_compose_has_a_head_and_two_workers_of_one_image_behind_one_token() -> None:
    compose = load("compose/compose.yaml")
    head, worker = compose["services"]["head"], compose["services"]["worker"]
    assert head["image"] == worker["image"] == "sweep:${DEVICE:-cpu}"
    assert worker["deploy"]["replicas"] == 2
    for service in (head, worker):
        environment = service["environment"]
        assert environment["RAY_AUTH_MODE"] == "token"
        assert environment["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_token"
        assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
        assert "RAY_AUTH_TOKEN" not in environment
        assert service["secrets"] == ["ray_token"]
        assert service["volumes"][0] == "shared:/shared"
        assert service["volumes"][1].endswith(":/data:ro")
        assert "privileged" not in service
    assert compose["secrets"]["ray_token"] == {"environment": "RAY_AUTH_TOKEN"}
    assert set(compose["volumes"]) == {"shared"}
    build = head["build"]
    folder = DOCKER / "compose" / build["context"]
    assert (folder / build["dockerfile"]).samefile(DOCKER / "Dockerfile")


def test_compose_files_are_what_the_compose_specification_says(tmp_path: Path) -> None:
    check = tool("check-jsonschema")
    schema = ["--builtin-schema", "vendor.compose-spec"]
    names = ("compose.yaml", "compose.cuda.yaml")
    lint(check, *schema, *(str(DOCKER / "compose" / name) for name in names))
    wrong = tmp_path / "compose.yaml"
    wrong.write_text("services: {head: {image: x, port: [1]}}")
    assert subprocess.run([check, *schema, wrong], capture_output=True, check=False).returncode


def test_only_the_dashboard_is_published_and_only_on_loopback() -> None:
    services = load("compose/compose.yaml")["services"]
    assert services["head"]["ports"] == ["127.0.0.1:8265:8265"]
    assert "ports" not in services["worker"]
    assert "network_mode" not in services["head"]


def test_the_gpu_overlay_changes_the_worker_alone() -> None:
    overlay = load("compose/compose.cuda.yaml")
    assert list(overlay["services"]) == ["worker"]
    [device] = overlay["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


# --- Kubernetes


def cluster_specs() -> list[dict[str, Any]]:
    job = load("kubernetes/rayjob.yaml")
    cluster = load("kubernetes/raycluster.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    return [job["spec"]["rayClusterSpec"], cluster["spec"]]


def test_the_job_and_the_cluster_that_stays_are_the_same_cluster() -> None:
    job, cluster = cluster_specs()
    assert job == cluster


def test_kubernetes_asks_for_a_token_and_runs_the_locked_ray() -> None:
    for spec in cluster_specs():
        assert spec["authOptions"] == {"mode": "token", "secretName": "sweep-token"}
        assert spec["rayVersion"] == locked("ray")
        assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
    assert "create secret generic sweep-token" in (DOCKER / "kubernetes/README.md").read_text()
    assert "--from-file=auth_token=" in (DOCKER / "kubernetes/README.md").read_text()


def test_every_pod_shares_the_storage_and_runs_the_one_image_without_root() -> None:
    claim = load("kubernetes/storage.yaml")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    spec = cluster_specs()[0]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    images = set()
    for group in groups:
        pod = group["template"]["spec"]
        [container] = pod["containers"]
        images.add(container["image"])
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 1000
        assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert container["volumeMounts"] == [{"name": "shared", "mountPath": "/shared"}]
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
        assert container["resources"]["requests"] == container["resources"]["limits"]
    assert images == {"sweep:cpu"}
    assert "--uid 1000" in DOCKERFILE


KUBERNETES_VERSION = "1.30"
"""Old enough for clusters that are in use; what is newer takes these fields, too."""


def test_pods_and_claim_are_what_kubernetes_says() -> None:
    kubernetes = pytest.importorskip("kubernetes_validate")
    spec = cluster_specs()[0]
    documents = [load("kubernetes/storage.yaml")]
    for group in [spec["headGroupSpec"], *spec["workerGroupSpecs"]]:
        template = {"metadata": {"name": "pod"}, **group["template"]}
        documents.append({"apiVersion": "v1", "kind": "Pod", **template})
    for document in documents:
        kubernetes.validate(document, KUBERNETES_VERSION, strict=True)
    documents[-1]["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(kubernetes.ValidationError, match="volumeMount"):
        kubernetes.validate(documents[-1], KUBERNETES_VERSION, strict=True)


KUBERAY_FIELDS = {
    "job": {
        "entrypoint": str, "backoffLimit": int, "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int, "rayClusterSpec": dict,
    },
    "cluster": {
        "rayVersion": str, "authOptions": dict, "headGroupSpec": dict, "workerGroupSpecs": list,
    },
    "head": {"serviceType": str, "rayStartParams": dict, "template": dict},
    "worker": {
        "groupName": str, "replicas": int, "minReplicas": int, "maxReplicas": int,
        "rayStartParams": dict, "template": dict,
    },
}  # fmt: skip
"""Names and types, from ray-project/kuberay, ray-operator/apis/ray/v1/rayjob_types.go and
raycluster_types.go; ``authOptions`` as Ray's guide "Configure Ray clusters to use token
authentication" has it."""


def test_what_is_kuberays_own_has_its_names_and_types() -> None:
    job, [cluster, _] = load("kubernetes/rayjob.yaml")["spec"], cluster_specs()
    head, [worker] = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    found = {"job": job, "cluster": cluster, "head": head, "worker": worker}
    assert {
        name: {key: type(value) for key, value in values.items()} for name, values in found.items()
    } == KUBERAY_FIELDS
    for group in (head, worker):  # strings, all of them
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


# --- Commands


def options_of(program: str, verb: str) -> set[str]:
    group: Any = scripts.cli if program == "ray" else get_command(app)
    return {name for parameter in group.commands[verb].params for name in parameter.opts}


def test_every_option_that_the_recipes_name_exists() -> None:
    named = [(*words, option) for words, options in commands() for option in options]
    assert len(named) > 20
    for program, verb, option in named:
        assert option in options_of(program, verb), f"{program} {verb} {option}"


def test_the_specs_that_the_recipes_run_are_in_the_image() -> None:
    named = {
        name
        for path in RECIPES
        for name in re.findall(r"\bspecs/([\w.-]+\.yaml)", path.read_text())
    }
    assert named
    assert all((ROOT / "specs" / name).exists() for name in named)


# --- Slurm

STAND_INS = {
    "scontrol": 'printf "first\\nsecond\\n"',
    # Its options end with the first word that is none; the node's address is that of this machine.
    "srun": """while [ "${1#-}" != "$1" ]; do shift; done
[ "$1" != hostname ] || { echo 127.0.0.1; exit; }
exec "$@" --node-ip-address=127.0.0.1 --dashboard-agent-listen-port=0""",
}


def test_the_slurm_script_is_bash_and_keeps_its_token_to_itself() -> None:
    script = DOCKER / "slurm" / "sweep.sbatch"
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text()
    assert text.startswith("#!/bin/bash\n")
    assert "export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0" in text
    assert "RAY_AUTH_TOKEN=" not in text
    assert "--include-dashboard=false" in text
    assert re.search(r"^#SBATCH --nodes=3$", text, re.MULTILINE)


def test_the_slurm_script_is_as_its_linter_wants_it() -> None:
    lint(tool("shellcheck"), "--severity=warning", str(DOCKER / "slurm" / "sweep.sbatch"))


@pytest.mark.slow
def test_the_slurm_script_runs_a_sweep_on_two_nodes_and_leaves_no_token(tmp_path: Path) -> None:
    programs, shared = tmp_path / "bin", tmp_path / "shared"
    programs.mkdir()
    shared.mkdir()
    for name, text in STAND_INS.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NODELIST": "some[1-2]",
        "SLURM_JOB_NUM_NODES": "2", "SLURM_CPUS_PER_TASK": "1",
        "SPEC": "specs/smoke.yaml", "SHARED": str(shared),
    }  # fmt: skip
    script = subprocess.Popen(
        ["bash", str(DOCKER / "slurm" / "sweep.sbatch")], cwd=ROOT, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    token = shared / f".ray-token-{os.getpid()}"
    while not token.exists() and script.poll() is None:
        pass
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    said, _ = script.communicate(timeout=300)
    assert script.returncode == 0, said
    assert "done: 14 cells done, 0 failed" in said
    assert "THE CLUSTER IS OPEN" not in said
    assert (shared / "results" / "smoke" / "report.html").exists()
    assert not token.exists()
