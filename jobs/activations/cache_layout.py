"""Names of the folders and files in an activation cache, all defined here.

Separate from the modules that read them, so that ``sweep gc`` and the plan load no arrays.
"""

import re

from jobs.storage.location import Location

SETS = "activations"
"""Folder of the activation sets, each a folder by its id."""
CONTENTS = "extractions"
"""Folder of the lists of contents, see `jobs.activations.contents`."""
INDEX = "index.json"
"""Index in the folder of a set, see `jobs.activations.index`."""
SET_FILE = re.compile(rf"shard-\d{{5,}}\.(json|safetensors)|{re.escape(INDEX)}")
"""Names of the files of a set."""


def set_folder(cache: Location, activation_id: str) -> Location:
    """Return the folder of an activation set."""
    return cache / SETS / activation_id


def data_name(index: int) -> str:
    """Return the name of the tensor file of shard ``index``."""
    return f"shard-{index:05d}.safetensors"


def manifest_name(index: int) -> str:
    """Return the name of the manifest of shard ``index``."""
    return f"shard-{index:05d}.json"


def data_path(folder: Location, index: int) -> Location:
    """Return the location of the tensor file of shard ``index``."""
    return folder / data_name(index)


def manifest_path(folder: Location, index: int) -> Location:
    """Return the location of the manifest of shard ``index``."""
    return folder / manifest_name(index)
