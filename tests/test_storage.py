"""Files that are whole or not there, whatever happens to the machine."""

import pytest

from aae import storage
from aae.storage import written


@pytest.fixture
def flushed(monkeypatch):
    """What was written to the disk, in turn: its place, and its text if it is a file."""
    seen, real = [], storage.flush

    def flush(path):
        seen.append((path, path.read_text() if path.is_file() else None))
        real(path)

    monkeypatch.setattr(storage, "flush", flush)
    return seen


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_is_at_the_end(tmp_path, flushed):
    place = tmp_path / "new" / "figures.json"
    with written(place) as aside:
        aside.write_text("all of it")
        assert not place.exists()
    assert flushed == [(aside, "all of it"), (place.parent, None)]
    assert [path.name for path in place.parent.iterdir()] == ["figures.json"]
