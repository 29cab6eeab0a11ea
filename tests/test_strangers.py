"""Files from a stranger: documented errors, nothing outside of the folder, no promise believed."""

import contextlib
import io
import json
import os
import shutil
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aae import events
from aae.data import load
from aae.data.npy import map_array, read_archive
from aae.fit import resume
from aae.packing import pack, unpack
from aae.run import Run
from aae.splits import data_of
from aae.storage import read_json

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "faults"))
import fuzz
import fuzz_targets
import guided


@pytest.fixture
def copy(tiny_run, tmp_path):
    """A run folder to spoil."""
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    return tmp_path / "run"


def changed(folder, change):
    about = json.loads((folder / "config.json").read_text())
    change(about)
    (folder / "config.json").write_text(json.dumps(about))
    return folder


# --- all parsers, in short


def test_damaged_files_raise_documented_errors_alone(tmp_path, no_pictures):
    figures = fuzz.fuzz(tmp_path / "x", count=12, seed=1)
    assert len(figures) >= 16
    for name, seen in figures.items():
        assert seen["failures"] == [], name
        assert seen["taken"] + seen["refused"] == 12


def test_the_fuzzer_sees_what_is_wrong(tmp_path, monkeypatch):
    def careless(content, folder):
        if content == b"sound":
            return
        (folder.parent / "outside").touch()
        raise KeyError("undocumented")

    targets = {"careless": ([b"sound"], careless)}
    monkeypatch.setattr(fuzz_targets, "targets", lambda where: targets)
    seen = fuzz.fuzz(tmp_path / "x", count=9, seed=0)["careless"]
    assert sum("KeyError" in each for each in seen["failures"]) >= 8
    assert sum("outside" in each for each in seen["failures"]) >= 8


def test_files_that_coverage_leads_to(tmp_path):
    pytest.importorskip("atheris", reason="it is made for Linux on x86-64")
    seen = guided.guided(tmp_path, ["npy"], seconds=2)["npy"]
    assert seen["failures"] == []
    assert seen["inputs"] > 50
    assert seen["branches at last"] > seen["branches at first"] > 100


def test_the_guided_fuzzer_says_what_is_wrong():
    said = """#2	INITED cov: 9 ft: 9
#7	NEW    cov: 11 ft: 12
 === Uncaught Python exception: ===
KeyError: 'undocumented'
Traceback (most recent call last):
stat::number_of_executed_units: 7
"""
    seen = guided._figures(said, 77)
    assert seen["failures"] == ["KeyError: 'undocumented'"]
    assert (seen["inputs"], seen["branches at first"], seen["branches at last"]) == (7, 9, 11)
    assert guided._figures("killed\n", -9)["failures"] == ["it ended with -9: killed"]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=9,
)
names = st.text(st.characters(codec="utf-8", exclude_characters="/"), max_size=9).filter(
    lambda name: not name.isdigit()
)


@given(st.recursive(plain, lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=9))
@settings(max_examples=30)
def test_what_is_packed_is_unpacked(tree):
    state = {"tree": tree, "more": {7: tree}}
    assert unpack(pack(state), "it") == state


@given(content=st.binary(max_size=300))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_at_all(tmp_path, content):
    for name, parse in [("a.npy", map_array), ("a.npz", read_archive), ("a.json", read_json)]:
        (tmp_path / name).write_bytes(content)
        with contextlib.suppress(ValueError):
            parse(tmp_path / name)


# --- promises


def header(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_header_that_promises_a_trillion_pictures(tmp_path, name):
    content = header((10**12, 28, 28)) + bytes(784)
    place = tmp_path / name
    if name == "a.npz":
        with zipfile.ZipFile(place, "w") as packed:
            packed.writestr("x.npy", content)
    else:
        place.write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} is no"):
        load(str(place))


def test_an_archive_that_unfolds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("aae.data.npy.MOST_UNPACKED", 10**6)
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((2000, 1000)))
    assert (tmp_path / "a.npz").stat().st_size < 30_000
    with pytest.raises(ValueError, match="16,000,128 bytes unpacked, at most 1,000,000"):
        load(str(tmp_path / "a.npz"))


def test_pickles_are_not_read(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object))
    np.savez(tmp_path / "a.npz", x=np.array([{}], object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ValueError, match=f"{name} is no"):
            load(str(tmp_path / name))


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about["config"].update(hidden=10**7),
        lambda about: about["data"].update(shape=[1, 10**6, 10**6]),
        lambda about: about["config"].update(latent_dim=10**9),
    ],
)
def test_a_config_that_promises_a_huge_model(copy, change):
    run = Run(changed(copy, change))
    with pytest.raises(ValueError, match=r"is of a model of [\d,]{13,} bytes, and its largest"):
        run.model()


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about.pop("config"),
        lambda about: about.update(config=[]),
        lambda about: about.pop("data"),
        lambda about: about["data"].pop("shape"),
        lambda about: about["data"].update(shape=[]),
        lambda about: about["data"].update(shape=[1, -8, 8]),
        lambda about: about["data"].update(shape=[1, 8.0, 8]),
        lambda about: about["data"].update(classes=[1]),
        lambda about: about["data"].update(classes="cat"),
        lambda about: about["data"].update(train="many"),
        lambda about: about["data"].update(columns=7),
        lambda about: about["data"].update(columns=[1]),
        lambda about: about.update(networks=3),
        lambda about: about.update(networks=[1]),
        lambda about: about.update(network=["mlp"]),
        lambda about: about.update(versions=[]),
    ],
)
def test_a_config_of_another_make_is_refused(copy, change):
    with pytest.raises(ValueError, match=r"config\.json is none that aae wrote"):
        Run(changed(copy, change))


@pytest.fixture(scope="module")
def of_table(tiny, tmp_path_factory):
    """A run folder of a table's model; only for reading."""
    data = tmp_path_factory.mktemp("tables") / "t.csv"
    data.write_text("size,kind\n" + "".join(f"{k % 7},{'xyz'[k % 3]}\n" for k in range(40)))
    config = tiny(data=str(data))
    return Run.create(data.parent / "run", config, data_of(config)).folder


@pytest.mark.parametrize(
    ("block", "change"),
    [
        (0, {"scale": "x"}), (0, {"scale": 0}), (0, {"scale": -1}), (0, {"scale": float("nan")}),
        (0, {"scale": float("inf")}), (0, {"mean": 10**400}), (0, {"mean": True}),
        (0, {"start": 99}), (0, {"width": 2}), (0, {"kind": "text"}), (0, {"name": []}),
        (0, {"name": "kind"}), (1, {"start": 0}), (1, {"categories": [[1], [2], [3]]}),
        (1, {"categories": ["x", "x", "y"]}), (1, {"categories": ["x"], "width": 1}),
    ],
)  # fmt: skip
def test_columns_of_another_make_are_refused(of_table, tmp_path, block, change):
    folder = shutil.copytree(of_table, tmp_path / "run")
    assert Run(folder).columns is not None
    changed(folder, lambda about: about["data"]["columns"]["blocks"][block].update(change))
    with pytest.raises(ValueError, match=r"config\.json is none that aae wrote: its columns"):
        Run(folder)


@pytest.mark.parametrize("change", [{"blocks": []}, {"missing": "impute"}, {"missing": 1}])
def test_a_table_of_another_make_is_refused(of_table, tmp_path, change):
    folder = shutil.copytree(of_table, tmp_path / "run")
    changed(folder, lambda about: about["data"]["columns"].update(change))
    with pytest.raises(ValueError, match=r"config\.json is none that aae wrote: its columns"):
        Run(folder)


def test_a_file_that_is_too_long_is_not_read(copy, monkeypatch):
    monkeypatch.setattr("aae.storage.MOST_JSON", 100)
    with pytest.raises(ValueError, match="at most 100 are expected"):
        Run(copy)


# --- no way out of the folder


@pytest.mark.parametrize("name", ["figures", "checkpoints", "figures/history", "export", ".lock"])
def test_a_link_in_a_run_folder_is_not_followed(copy, tmp_path, name):
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(copy / name, ignore_errors=True)
    (copy / name).unlink(missing_ok=True)
    (copy / name).symlink_to(outside)
    with pytest.raises(ValueError, match="is a link, and writing would leave the folder"):
        Run(copy)
    assert list(outside.iterdir()) == []


def test_linked_files_are_replaced_and_not_written_through(copy, tmp_path, no_pictures):
    later = {"step": 10**6, "epoch": 10**6, "split": "train"}  # what a resumed run takes back
    contents = {
        "metrics.jsonl": json.dumps(later).encode() + b"\n",
        "events.out.tfevents.1": b"precious",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        (copy / name).unlink(missing_ok=True)
        (copy / name).symlink_to(tmp_path / name)
    changed(copy, lambda about: about["config"].update(epochs=about["config"]["epochs"] + 1))
    assert resume(copy).records()[-1]["epoch"] < 10**6
    assert {name: (tmp_path / name).read_bytes() for name in contents} == contents


def test_a_name_in_a_config_leads_nowhere(copy, tmp_path):
    before = sorted(tmp_path.iterdir())
    more = {"recipe": "../../outside", "epochs": 4, "sample_every": 1}
    run = changed(copy, lambda about: about["config"].update(more))
    assert resume(run).epochs_done == 4
    assert sorted(tmp_path.iterdir()) == before


def test_a_pipe_is_not_waited_for(copy):
    (copy / "metrics.jsonl").unlink()
    os.mkfifo(copy / "metrics.jsonl")
    with pytest.raises(ValueError, match=r"metrics\.jsonl is no file"):
        Run(copy).records()
    for place in (copy / "checkpoints").iterdir():
        (place / "manifest.json").unlink()
        os.mkfifo(place / "manifest.json")
    with pytest.raises(ValueError, match="no checkpoint is whole"):
        Run(copy).model()


def test_an_event_that_promises_much_takes_no_memory(tmp_path):
    file = tmp_path / "events.out.tfevents.1"
    file.write_bytes(struct.pack("<Q", 10**15) + b"1234")
    events.undo(tmp_path, lambda step, tag: True)
    assert file.read_bytes() == b""
