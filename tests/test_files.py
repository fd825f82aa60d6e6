"""A file is replaced as a whole, or stays as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tensornet.files import replacing


@pytest.mark.parametrize("last", [True, False])
def test_the_new_file_takes_the_place_of_the_old_one_at_the_end(tmp_path: Path, last: bool) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path, last=last) as draft:
        draft.write_text("new")
        assert draft.parent == tmp_path
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write(error: BaseException) -> None:
        with replacing(path) as draft:
            draft.write_text("half")
            raise error

    for error in (ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            write(error)
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o600)
    link.symlink_to(path)
    with replacing(link) as draft:
        draft.write_text("new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_no_file_is_written_to_directly(tmp_path: Path) -> None:
    with replacing(os.devnull) as draft:
        draft.write_text("nothing")
    assert not Path(os.devnull).is_file()


def test_the_draft_may_have_a_name_of_ones_own(tmp_path: Path) -> None:
    path, own = tmp_path / "file", tmp_path / "file.tmp"
    with replacing(path, own) as draft:
        assert draft == own
        draft.write_text("new")
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "none" / "file") as draft:
        draft.write_text("new")
