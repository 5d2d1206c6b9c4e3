"""The folder of a local Ray's sockets and logs."""

import logging
import os
import tempfile
from pathlib import Path

log = logging.getLogger(__name__)

SHORT_FOLDER = "/tmp/ray"
"""Ray's own default, which it shares between users."""
_SOCKET_BYTES = 107
"""Longest path of a Unix socket."""
_SOCKET_IN_SESSION = "/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""Longest path of Ray's sockets, below its temporary folder."""


def temporary_folder() -> str:
    """Return the folder that RAY_TMPDIR or TMPDIR names, unless its path is too long for a socket,
    as the folder of a cluster's job may be."""
    named = str(Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir(), "ray").absolute())
    if len(os.fsencode(named + _SOCKET_IN_SESSION)) <= _SOCKET_BYTES:
        return named
    log.warning("%s is too long a path for Ray's sockets: using %s", named, SHORT_FOLDER)
    return SHORT_FOLDER
