"""The table of what can be fetched: whole, well-formed, and where specs look for it."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from jobs.downloads.catalogue import CORPORA, MODELS, MODELS_FOLDER, find_archive
from jobs.models.errors import ModelError
from jobs.models.wespeaker.folders import INCLUDED, find_checkpoint
from jobs.models.wespeaker.model import load_wespeaker
from jobs.models.wespeaker.settings import WespeakerSettings


def test_every_subset_has_an_address_a_size_and_an_md5():
    assert list(CORPORA) == [
        "dev-clean", "dev-other", "test-clean", "test-other",
        "train-clean-100", "train-clean-360", "train-other-500",
    ]  # fmt: skip
    for name, archive in CORPORA.items():
        assert archive.name == name
        assert (
            f"{archive.base}/{archive.file}"
            == f"https://www.openslr.org/resources/12/{name}.tar.gz"
        )
        assert archive.size is not None
        assert archive.size > 3e8
        assert len(bytes.fromhex(archive.md5)) == 16
    assert len({archive.md5 for archive in CORPORA.values()}) == len(CORPORA)


def test_the_studys_four_checkpoints_and_the_hubs_resnets_are_there():
    study = [f"voxblink2_samresnet{size}{tuned}" for size in (34, 100) for tuned in ("", "_ft")]
    assert list(MODELS) == [*study, "voxceleb_resnet221_LM", "cnceleb_resnet34"]
    hub = (Path(find_spec("wespeaker").submodule_search_locations[0]) / "cli/hub.py").read_text()
    for name, archive in MODELS.items():
        assert (archive.name, archive.file.removesuffix(".tar.gz").removesuffix(".zip")) == (
            name, name,
        )  # fmt: skip
        # The 100-layer ones have no short name there.
        assert f'"{archive.file}"' in hub or "samresnet100" in name
        assert archive.listing.startswith("https://")
        assert archive.md5 is None


@pytest.mark.parametrize(
    ("catalogue", "wrong", "near"),
    [(CORPORA, "dev_clean", "dev-clean"), (MODELS, "samresnet100", "voxblink2_samresnet100")],
)
def test_an_unknown_name_is_told_the_nearest(catalogue, wrong, near):
    with pytest.raises(ValueError, match=f"did you mean '{near}'"):
        find_archive(catalogue, wrong)


def test_a_checkpoint_that_was_not_fetched_names_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = WespeakerSettings(name="vb", checkpoint=Path("voxblink2_samresnet34"))
    with pytest.raises(ModelError, match="sweep fetch model voxblink2_samresnet34"):
        load_wespeaker(settings)


def test_a_fetched_checkpoint_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fetched = MODELS_FOLDER / "voxblink2_samresnet34"
    fetched.mkdir(parents=True)
    assert find_checkpoint(Path("voxblink2_samresnet34")) == fetched
    here = tmp_path / "voxblink2_samresnet34"
    here.mkdir()
    assert find_checkpoint(Path("voxblink2_samresnet34")) == Path("voxblink2_samresnet34")
    assert find_checkpoint(here) == here


def test_other_names_stay_what_they_are():
    assert find_checkpoint(Path("demo_samresnet34")) == INCLUDED / "demo_samresnet34"
    assert find_checkpoint(Path("nothing_here")) == Path("nothing_here")
    assert find_checkpoint(Path("/nowhere/voxblink2_samresnet34")) == Path(
        "/nowhere/voxblink2_samresnet34"
    )
