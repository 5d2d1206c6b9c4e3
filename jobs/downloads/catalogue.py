"""Catalogue of the corpora and checkpoints that can be fetched by name, with their checksums."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CORPORA_FOLDER = Path("data/raw/LibriSpeech")
"""Default folder of the subsets of a corpus."""
MODELS_FOLDER = Path("data/models")
"""Folder of the checkpoints; a spec's ``checkpoint: NAME`` is looked up there."""


@dataclass(frozen=True)
class Archive:
    """One archive on a server."""

    name: str
    """Name for the user."""
    file: str
    """File name on its own server and on every mirror."""
    base: str | None = None
    """URL of the folder that contains it."""
    listing: str | None = None
    """URL of a JSON list with the current address, if there is no permanent one; see
    ``sweep.commands.fetch_named``."""
    size: int | None = None
    """Bytes."""
    md5: str | None = None
    """Hex digest; None if the publisher gives none."""


_OPENSLR = "https://www.openslr.org/resources/12"

# Sizes and MD5s are OpenSLR's own (resources/12/md5sum.txt), and were compared in the copies that
# public recipes carry: sizes in Kaldi's egs/librispeech/s5/local/download_and_untar.sh, MD5s in
# PaddlePaddle/PaddleSpeech's data/librispeech/librispeech.py.
_LIBRISPEECH = {
    "dev-clean": (337_926_286, "42e2234ba48799c1f50f24a7926300a1"),
    "dev-other": (314_305_928, "c8d0bcc9cca99d4f8b62fcc847357931"),
    "test-clean": (346_663_984, "32fa31d27d2e1cad72775fee3f4849a9"),
    "test-other": (328_757_843, "fb5a50374b501bb3bac4815ee91d3135"),
    "train-clean-100": (6_387_309_499, "2a93770f6d5c6c964bc36631d331a522"),
    "train-clean-360": (23_049_477_885, "c0e676e450a7ff2f54aeade5171606fa"),
    "train-other-500": (30_593_501_606, "d1a0fd59409feb2c614ce4d30c387708"),
}

CORPORA: Mapping[str, Archive] = {
    name: Archive(name, f"{name}.tar.gz", base=_OPENSLR, size=size, md5=md5)
    for name, (size, md5) in _LIBRISPEECH.items()
}
"""LibriSpeech, by subset."""

_WESPEAKER_HUB = "https://modelscope.cn/api/v1/datasets/wenet/wespeaker_pretrained_models/oss/tree"
"""List that WeSpeaker's ``wespeaker/cli/hub.py`` reads: file names and signed addresses, which
expire."""

MODELS: Mapping[str, Archive] = {
    file.partition(".")[0]: Archive(file.partition(".")[0], file, listing=_WESPEAKER_HUB)
    for file in (
        "voxblink2_samresnet34.zip",
        "voxblink2_samresnet34_ft.zip",
        "voxblink2_samresnet100.zip",
        "voxblink2_samresnet100_ft.zip",
        "voxceleb_resnet221_LM.tar.gz",
        "cnceleb_resnet34.tar.gz",
    )
}
"""WeSpeaker's checkpoints of the study (its ``docs/pretrained.md`` names all four; the hub's short
names only the first two), and the two ResNets that ``wespeaker/cli/hub.py`` has for English and
Chinese. Its CAM++ and ERes2Net are left out: they take features with another window, which their
``config.yaml`` does not say (``wespeaker/cli/speaker.py`` does). No checksums are published:
that of the first download is recorded, and later downloads are compared with it."""


def find_archive(catalogue: Mapping[str, Archive], name: str) -> Archive:
    """Return the entry called ``name``.

    Raises:
        ValueError: there is none; the message gives the nearest name.
    """
    if name in catalogue:
        return catalogue[name]
    near = difflib.get_close_matches(name, catalogue, n=1, cutoff=0.0)
    raise ValueError(
        f"nothing called {name!r} can be fetched: expected one of {', '.join(catalogue)}; "
        f"did you mean {near[0]!r}?"
    )
