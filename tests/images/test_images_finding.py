"""Which files `find_photos` takes from what a user names."""

from __future__ import annotations

import pytest

from resharp.errors import ImageError
from resharp.images.reading import find_photos


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_folders_are_searched_in_order(tmp_path):
    make(tmp_path, "b.PNG", "a.jpg", "sub/deep/c.tiff", "sub/d.webp", "e.bmp", "f.jpeg")
    make(tmp_path, "notes.txt", ".hidden.jpg", ".cache/x.jpg", "a.deblurred.jpg", "movie.gif")
    found = [path.relative_to(tmp_path).as_posix() for path in find_photos([tmp_path])]
    assert found == ["a.jpg", "b.PNG", "e.bmp", "f.jpeg", "sub/d.webp", "sub/deep/c.tiff"]


def test_files_are_taken_as_given_and_once(tmp_path):
    make(tmp_path, "b.jpg", "a.deblurred.jpg", "odd.xyz")
    given = [tmp_path / "odd.xyz", tmp_path / "a.deblurred.jpg", tmp_path, tmp_path / "b.jpg"]
    assert find_photos(given) == [tmp_path / "odd.xyz", tmp_path / "a.deblurred.jpg", tmp_path / "b.jpg"]


def test_links_to_folders_do_not_go_round_in_circles(tmp_path):
    make(tmp_path, "a.jpg")
    (tmp_path / "again").symlink_to(tmp_path)
    assert find_photos([tmp_path]) == [tmp_path / "a.jpg"]


@pytest.mark.parametrize("names", [[], ["notes.txt"], ["a.deblurred.png"]])
def test_folder_without_photos(tmp_path, names):
    make(tmp_path, *names)
    with pytest.raises(ImageError, match="no photos in this folder") as caught:
        find_photos([tmp_path])
    assert "\n" not in str(caught.value)


def test_missing_input(tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        find_photos([tmp_path / "nowhere"])
