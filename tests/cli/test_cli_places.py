"""`deblur` over URLs and Parquet in one process: the same bytes as over files, and nothing half-written."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import fsspec
import pytest

from resharp.engines import stores
from resharp.errors import OutputError


@pytest.fixture
def store():
    """A folder of fsspec's memory file system: its URL."""
    url = f"memory://{uuid.uuid4().hex}"
    yield url
    fsspec.filesystem("memory").rm(url, recursive=True)


def below(url: str) -> dict[str, bytes]:
    """The files at a URL: their paths below it, and their bytes."""
    system, root = fsspec.core.url_to_fs(url)
    return {path[len(root) + 1 :]: system.cat_file(path) for path in system.find(root)}


def put(photo: Path, url: str) -> None:
    fsspec.filesystem("memory").pipe_file(url, photo.read_bytes())


@pytest.fixture
def deblur(resharp, model):
    """Run `deblur --json --force` with these words; the answer."""

    def call(*words):
        return json.loads(resharp("deblur", *words, "--model", model, "--force", "--json").out)

    return call


def counts(answer):
    return tuple(answer[name] for name in ("restored", "skipped", "failed"))


def test_an_object_store_in_and_out(deblur, photo, store, tmp_path):
    names = ("a.png", "deep/b.jpg", "deep/.hidden.png", "old.deblurred.png", "notes.txt")
    for name in names:
        put(photo(f"in/{Path(name).name}") if "txt" not in name else photo("x.png"), f"{store}/in/{name}")
    assert counts(deblur(tmp_path / "in" / "a.png", tmp_path / "in" / "b.jpg", "-o", tmp_path / "out")) == (2, 0, 0)
    answer = deblur(f"{store}/in", "-o", f"{store}/out")
    assert counts(answer) == (2, 0, 0)
    assert answer["results"][0]["input"] == f"{store}/in/a.png"
    assert answer["results"][0]["output"] == f"{store}/out/a.deblurred.png"
    expected = {
        f"{folder}{name}": (tmp_path / "out" / name).read_bytes()
        for folder, name in (("", "a.deblurred.png"), ("deep/", "b.deblurred.jpg"))
    }
    assert below(f"{store}/out") == expected
    # Kept, skipped or replaced, as files are.
    assert counts(deblur(f"{store}/in", "-o", f"{store}/out")) == (0, 0, 2)
    assert counts(deblur(f"{store}/in", "-o", f"{store}/out", "--skip-done")) == (0, 2, 0)
    assert counts(deblur(f"{store}/in", "-o", f"{store}/out", "--skip-done", "--seed", 1)) == (0, 0, 2)
    assert below(f"{store}/out") == expected
    assert counts(deblur(f"{store}/in", "-o", f"{store}/out", "--overwrite", "--seed", 1)) == (2, 0, 0)
    assert below(f"{store}/out") != expected


def test_beside_the_photo_and_down_to_this_disk(deblur, photo, store, tmp_path):
    put(photo("a.png"), f"{store}/a.png")
    assert counts(deblur(f"{store}/a.png")) == (1, 0, 0)
    assert set(below(store)) == {"a.png", "a.deblurred.png"}
    assert counts(deblur(f"{store}/a.png", "-o", tmp_path / "b.webp")) == (1, 0, 0)
    assert counts(deblur(f"file://{tmp_path}/a.png", "-o", f"file://{tmp_path}/c.png")) == (1, 0, 0)
    assert (tmp_path / "c.png").read_bytes() == below(store)["a.deblurred.png"]
    assert (tmp_path / "b.webp").is_file()


def test_failures_name_the_url_and_the_rest_goes_on(deblur, photo, store, tmp_path):
    put(photo("a.png"), f"{store}/in/a.png")
    fsspec.filesystem("memory").pipe_file(f"{store}/in/b.png", b"no picture at all, this one is")
    table = tmp_path / "failures.json"
    words = [f"{store}/in", f"{store}/none", "nofs://x/y.png", "-o", f"{store}/out", "--failures", table]
    answer = deblur(*words)
    assert counts(answer) == (1, 0, 3)
    rows = {row["photo"]: row["error"] for row in json.loads(table.read_text())}
    assert set(rows) == {f"{store}/in/b.png", f"{store}/none", "nofs://x/y.png"}
    assert rows[f"{store}/in/b.png"].startswith(f"{store}/in/b.png: not a photo")
    assert "/tmp" not in "".join(rows.values())
    assert set(below(f"{store}/out")) == {"a.deblurred.png"}


def test_a_failed_upload_leaves_nothing(deblur, photo, store, monkeypatch):
    put(photo("a.png"), f"{store}/a.png")

    def fail(self, *_args, **_options):
        raise OSError("connection reset")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "put_file", fail)
    answer = deblur(f"{store}/a.png", "-o", f"{store}/out")
    assert "cannot write it (connection reset)" in answer["results"][0]["error"]
    assert set(below(store)) == {"a.png"}


def test_stores_without_whole_puts_get_a_temporary_name(tmp_path, monkeypatch):
    """fsspec's file system of this disk stands for sftp and the like."""
    made = tmp_path / "made.png"
    made.write_bytes(b"whole")
    seen = []
    system = fsspec.filesystem("local")
    put_file = type(system).put_file
    monkeypatch.setattr(
        type(system), "put_file", lambda self, a, b, **rest: (seen.append(b), put_file(self, a, b, **rest))[1]
    )
    stores.publish(made, f"local://{tmp_path}/out/a.png", "token")
    assert (tmp_path / "out" / "a.png").read_bytes() == b"whole"
    assert [Path(place).name.startswith(".resharp-token") for place in seen] == [True]
    monkeypatch.setattr(type(system), "mv", lambda *_: 1 / 0)
    with pytest.raises(OutputError, match="cannot write it"):
        stores.publish(made, f"local://{tmp_path}/out/b.png", "token")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_what_killed_workers_left_is_swept(tmp_path):
    for name in (".resharp-ours1234.png", ".resharp-others.png", "a.png"):
        (tmp_path / name).touch()
    stores.sweep({str(tmp_path), "s3://bucket/out", str(tmp_path / "none")}, "ours")
    assert {path.name for path in tmp_path.iterdir()} == {".resharp-others.png", "a.png"}


@pytest.fixture
def tables(tmp_path, photo):
    """Two row groups of photos, of which one is damaged; the folder."""
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    data = [photo(f"photos/{i}.png", width=20 + i).read_bytes() for i in range(4)] + [b"no picture"]
    rows = {"label": [f"l{i}" for i in range(5)], "image": data, "name": [f"{i}.png" for i in range(4)] + ["4"]}
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table(rows), tmp_path / "in" / "t.parquet", row_group_size=3)
    return tmp_path / "in"


def test_parquet_in_parquet_out(deblur, tables, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    assert counts(deblur(tmp_path / "photos", "-o", tmp_path / "files")) == (4, 0, 0)
    expected = [(tmp_path / "files" / f"{i}.deblurred.png").read_bytes() for i in range(4)]
    out = tmp_path / "out"
    answer = deblur(tables / "t.parquet", "-o", out)
    assert counts(answer) == (4, 0, 1)
    assert answer["results"][-1]["input"] == f"{tables}/t.parquet: 4"
    assert sorted(path.name for path in out.iterdir()) == [f"t.deblurred-{i:05}.parquet" for i in range(2)]
    made = [row for path in sorted(out.iterdir()) for row in pq.read_table(path).to_pylist()]
    assert [row["image"] for row in made] == [*expected, None]
    assert [row["label"] for row in made] == [f"l{i}" for i in range(5)]
    assert [row["resharp_error"] is None for row in made] == [True] * 4 + [False]
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert counts(deblur(tables / "t.parquet", "-o", out)) == (0, 0, 2)  # whole files are kept
    assert counts(deblur(tables / "t.parquet", "-o", out, "--skip-done")) == (0, 4, 1)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert counts(deblur(tables / "t.parquet", "-o", out, "--skip-done", "--seed", 1)) == (0, 0, 2)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_structs_as_of_hugging_face_and_an_object_store(deblur, photo, store, tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    rows = {"picture": [{"bytes": photo("p.png").read_bytes(), "path": "p.png"}]}
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    put(tmp_path / "t.parquet", f"{store}/in/train/t.parquet")
    words = [f"{store}/in", "-o", f"{store}/out", "--image-column", "picture"]
    assert counts(deblur(*words)) == (1, 0, 0)
    (name,) = below(f"{store}/out")
    assert name == "train/t.deblurred-00000.parquet"
    (tmp_path / "r.parquet").write_bytes(below(f"{store}/out")[name])
    (row,) = pq.read_table(tmp_path / "r.parquet").to_pylist()
    deblur(tmp_path / "p.png")
    assert row["picture"] == {"bytes": (tmp_path / "p.deblurred.png").read_bytes(), "path": "p.png"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["t.parquet"], "for Parquet give a folder after -o"),
        (["t.parquet", "-o", "out", "--image-column", "jpg"], "has no column 'jpg'; it has label, image, name"),
        (["t.parquet", "-o", "out", "--image-column", "label"], "column 'label' does not hold encoded photos"),
        (["none.parquet", "-o", "out"], "none.parquet: cannot be read as Parquet"),
        (["bad.parquet", "-o", "out"], "bad.parquet: cannot be read as Parquet"),
    ],
)
def test_parquet_that_cannot_be_used(resharp, tables, model, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tables)
    Path("bad.parquet").write_text("no table")
    ran = resharp("deblur", *words, "--model", model)
    assert ran.code == 1
    assert says in ran.line
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--engine", "spark"], "unknown engine 'spark'; allowed: local, ray"),
        (["--workers", 2], "--workers is a number from 1, for --engine ray"),
        (["--engine", "ray", "--workers", 0], "--workers is a number from 1"),
        (["--engine", "ray", "--no-receipt"], "leave out --no-receipt"),
        (["--engine", "ray", "-o", "memory://out"], "memory:// is inside one process"),
        (["--engine", "ray", "--samples", 2, "--spread", "s.png"], "--spread is for photos on this disk"),
    ],
)
def test_options_that_do_not_go_together(resharp, photo, model, files, words, says):
    ran = resharp("deblur", photo("a.png"), "--model", model, *words)
    assert ran.code == 1
    assert says in ran.line
    assert files() == {"a.png"}


def test_two_results_in_one_place(resharp, photo, model, store):
    put(photo("a.png"), f"{store}/one/a.png")
    put(photo("a.png"), f"{store}/two/a.png")
    ran = resharp("deblur", f"{store}/one", f"{store}/two", "-o", f"{store}/out", "--model", model)
    assert ran.code == 1
    assert "would go here" in ran.line
