"""Submission of a command to a cluster, which then runs it by itself (Ray Jobs)."""

import os
import time
from pathlib import Path
from urllib.parse import urlsplit

import ray.exceptions
from ray.job_submission import JobSubmissionClient

from sweep.errors import ClusterError
from sweep.executors.session import NO_ANSWER, check_answers

AGENT_SECONDS = 30.0
"""Seconds until a new head must take jobs."""


def submit_entrypoint(url: str, entrypoint: str, folder: Path) -> str:
    """Have a cluster run a shell command in a copy of ``folder``; return Ray's id of the job.

    Args:
        url: address of the cluster's dashboard.
        entrypoint: the command.
        folder: the files to ship. Environment variables are not shipped: the cluster has its own
            token.

    Raises:
        ClusterError: the dashboard does not answer, or rejects the job.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        raise ClusterError(f"{url} is no address of a dashboard: expected http://HOST:8265")
    check_answers(f"{parts.hostname}:{port}")
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        os.environ.pop(name, None)  # Ray would connect there, whatever address it is given
    try:
        client = JobSubmissionClient(url)
        job = _submit(client, entrypoint, folder)
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise ClusterError(NO_ANSWER.format(address=url, error=error)) from error
    except RuntimeError as error:
        raise ClusterError(f"{url} does not take the job: {error}") from error
    return job


def _submit(client: JobSubmissionClient, entrypoint: str, folder: Path) -> str:
    """Submit, with retries: a new head answers before it can take jobs."""
    deadline = time.monotonic() + AGENT_SECONDS
    while True:
        try:
            job: str = client.submit_job(
                entrypoint=entrypoint, runtime_env={"working_dir": str(folder)}
            )
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return job
