"""Unpacking: whole archives arrive as they are, hostile and damaged ones do not."""

import io
import random
import stat
import tarfile
import zipfile
from contextlib import nullcontext

import pytest

from jobs.downloads.archives import ArchiveError, unpack

FILES = {
    "LibriSpeech/README.TXT": b"read me\n",
    "LibriSpeech/dev/1/2/a.flac": bytes(range(256)) * 9,
}


def tar_of(path, entries, mode="w:gz"):
    """Entries: (name, bytes), or (TarInfo, bytes) where the header itself is the point."""
    with tarfile.open(path, mode) as tar:
        for name, data in entries:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info.isreg():
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def zip_of(path, entries, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as packed:
        for name, data in entries:
            packed.writestr(name, data)
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_files_arrive_byte_for_byte(tmp_path, make):
    archive = make(tmp_path / "archive", FILES.items())
    written = []
    unpack(archive, tmp_path / "out", progress=written.append)
    assert tree(tmp_path / "out") == FILES
    assert written[-1] == sum(map(len, FILES.values()))


def test_folders_of_their_own_and_an_uncompressed_tar(tmp_path):
    entries = [(special("./", tarfile.DIRTYPE), b""), (special("a/", tarfile.DIRTYPE), b"")]
    archive = tar_of(tmp_path / "a.tar", [*entries, ("a/b", b"1")], mode="w")
    unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == {"a/b": b"1"}


@pytest.mark.parametrize("make", [tar_of, zip_of])
@pytest.mark.parametrize("name", ["../escaped", "a/../../escaped", "/escaped", "a\\..\\escaped"])
def test_a_path_that_leads_out_is_refused_and_nothing_is_written_outside(tmp_path, make, name):
    inside = tmp_path / "deep" / "out"
    archive = make(tmp_path / "archive", [("fine", b"1"), (name, b"2")])
    with pytest.raises(ArchiveError, match="leads out of its folder"):
        unpack(archive, inside)
    assert tree(inside) == {"fine": b"1"}
    assert not list(tmp_path.rglob("*escaped*"))


@pytest.mark.parametrize(
    "entry",
    [
        special("out", tarfile.SYMTYPE, "/etc"),
        special("up", tarfile.SYMTYPE, ".."),
        special("inside", tarfile.SYMTYPE, "fine"),
        special("hard", tarfile.LNKTYPE, "../outside"),
        special("device", tarfile.CHRTYPE),
        special("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: info.name,
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, entry):
    archive = tar_of(tmp_path / "a.tar.gz", [("fine", b"1"), (entry, b"")])
    with pytest.raises(ArchiveError, match="not a plain file"):
        unpack(archive, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["fine"]


def test_a_file_through_a_link_is_never_reached(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    link = special("door", tarfile.SYMTYPE, str(outside))
    archive = tar_of(tmp_path / "a.tar.gz", [(link, b""), ("door/file", b"1")])
    with pytest.raises(ArchiveError):
        unpack(archive, tmp_path / "out")
    assert not list(outside.iterdir())


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zip_of(tmp_path / "a.zip", [(info, b"/etc/passwd")])
    with pytest.raises(ArchiveError, match="not a plain file"):
        unpack(archive, tmp_path / "out")


def test_an_encrypted_zip_is_refused(tmp_path):
    archive = zip_of(tmp_path / "a.zip", [("secret", b"1" * 50)], zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + at] |= 1
    archive.write_bytes(data)
    with pytest.raises(ArchiveError, match="encrypted"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_bomb_is_stopped_before_it_is_written(tmp_path, make):
    archive = make(tmp_path / "bomb", [("small", b"1"), ("big", bytes(5_000_000))])
    with pytest.raises(ArchiveError, match="more than 1000000 bytes"):
        unpack(archive, tmp_path / "out", max_bytes=1_000_000)
    assert tree(tmp_path / "out") == {"small": b"1"}


def test_the_bound_is_on_all_files_together(tmp_path):
    archive = tar_of(tmp_path / "bomb", [(str(n), bytes(1000)) for n in range(10)])
    with pytest.raises(ArchiveError, match="more than 5500 bytes"):
        unpack(archive, tmp_path / "out", max_bytes=5500)
    assert len(tree(tmp_path / "out")) == 5


def test_without_a_bound_of_its_own_a_bomb_meets_that_of_its_size(tmp_path):
    archive = zip_of(tmp_path / "bomb.zip", [("zeros", bytes(101_000_000))])
    with pytest.raises(ArchiveError, match="more than 100000000 bytes"):
        unpack(archive, tmp_path / "out")


def test_a_zip_member_longer_than_it_says_is_refused(tmp_path):
    archive = zip_of(tmp_path / "a.zip", [("liar", bytes(10_000))])
    data = bytearray(archive.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (10).to_bytes(4, "little")
    archive.write_bytes(data)
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(archive, tmp_path / "out", max_bytes=100)


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_name_that_comes_twice_is_refused(tmp_path, make):
    with pytest.warns(UserWarning, match="Duplicate") if make is zip_of else nullcontext():
        archive = make(tmp_path / "archive", [("a", b"1"), ("a", b"2")])
    with pytest.raises(ArchiveError, match="twice"):
        unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == {"a": b"1"}


@pytest.mark.parametrize("make", [tar_of, zip_of])
@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.95])
def test_an_archive_that_was_cut_off_is_damaged(tmp_path, make, fraction):
    archive = make(tmp_path / "archive", [(f"{n}", bytes(range(256)) * 40) for n in range(20)])
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * fraction)])
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_a_flipped_bit_is_damage(tmp_path, make):
    noise = random.Random(0).randbytes(20_000)
    archive = make(tmp_path / "archive", [("noise", noise)])
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(archive, tmp_path / "out")


def test_a_web_page_is_no_archive(tmp_path):
    page = tmp_path / "a.zip"
    page.write_bytes(b"<html>gone</html>" * 100)
    with pytest.raises(ArchiveError, match="neither tar nor zip"):
        unpack(page, tmp_path / "out")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    archive = tar_of(tmp_path / "a.tar.gz", FILES.items())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("1")
    with pytest.raises(ArchiveError, match="is not empty"):
        unpack(archive, tmp_path / "out")
    assert tree(tmp_path / "out") == {"mine": b"1"}
