"""Saved weights: the round trip, other programs' eyes, damaged files, and writing whole or not at all."""

import errno
import hashlib
import json
import os
import pickle

import numpy as np
import pytest
from training_runs import MOONS, mlp, moons_trainer, same_bits, weights

import tinynet as tn
from tinynet import Parameter, data, nn, optim
from tinynet.errors import ArgumentError, CheckpointError, FileError, TypeMismatch
from tinynet.training import checkpoint


class Awkward(nn.Module):
    """Parameters that lie askew in memory, a tied one, a scalar, an empty one, buffers of other types."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.columns = Parameter(np.zeros((3, 4), np.float32))
        self.columns.data = np.asfortranarray(random.normal(size=(3, 4)).astype(np.float32))
        self.strided = Parameter(np.zeros((2, 5), np.float32))
        self.strided.data = random.normal(size=(6, 10)).astype(np.float32)[::3, 1::2]
        self.turned = Parameter(np.zeros((4, 2, 3), np.float64))
        self.turned.data = random.normal(size=(3, 2, 4)).T
        self.backwards = Parameter(np.zeros(5, np.float32))
        self.backwards.data = random.normal(size=5).astype(np.float32)[::-1]
        self.number = Parameter(np.float32(random.normal()))
        self.tied = self.columns
        self.register_buffer("counts", tn.Tensor(random.integers(0, 9, 3)))
        self.register_buffer("flags", tn.Tensor(random.integers(0, 2, 4).astype(bool)))
        self.register_buffer("nothing", tn.zeros((0, 3)))


@pytest.mark.tiny
def test_round_trip_of_arrays_that_lie_askew(tmp_path) -> None:
    saved, loaded = Awkward(0), Awkward(1)
    expected = weights(saved)
    path = tn.save(saved, tmp_path / "m.safetensors", about={"title": "π", "n": [1, 2.5, None]})
    assert tn.load(loaded, path) is loaded
    same_bits({k: v.copy("C") for k, v in weights(loaded).items()}, {k: v.copy("C") for k, v in expected.items()})
    assert loaded.tied is loaded.columns
    assert checkpoint.read(path)[1] == {"model": {"title": "π", "n": [1, 2.5, None]}}


def test_other_readers_see_the_same_numbers(tmp_path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import load_file

    model = Awkward(0)
    path = tn.save(model, tmp_path / "m.safetensors")
    found = load_file(path)
    assert found.keys() == weights(model).keys()
    for name, array in weights(model).items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    with safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["tinynet 1"])
    bytes_in_order = b"".join(array.tobytes() for _, array in sorted(weights(model).items()))
    assert about == {"model": {}, "sha256": hashlib.sha256(b'{"model": {}}' + bytes_in_order).hexdigest()}


def test_the_same_weights_are_the_same_bytes(tmp_path) -> None:
    files = [tn.save(mlp(2, 6, 2), tmp_path / f"{i}", about={"title": "twin"}).read_bytes() for i in range(8)]
    assert len(set(files)) == 1


@pytest.mark.torch
def test_pytorch_reads_and_writes_them(tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    model = Awkward(0)
    found = load_file(tn.save(model, tmp_path / "m.safetensors"))
    for name, array in weights(model).items():
        np.testing.assert_array_equal(found[name].numpy(), array, err_msg=name)
    save_file({name: tensor.contiguous() for name, tensor in found.items()}, tmp_path / "torch.safetensors")
    same_bits(
        {k: v.copy("C") for k, v in weights(tn.load(Awkward(1), tmp_path / "torch.safetensors")).items()},
        {k: v.copy("C") for k, v in weights(model).items()},
    )


def test_bfloat16_is_kept(tmp_path, monkeypatch) -> None:
    """In the file too, and read into a model of any type; without ml_dtypes the message says what to install."""
    import importlib

    model, path = mlp(2, 3, 2, dtype="bfloat16"), tmp_path / "m.safetensors"
    tn.save(model, path)
    assert b'"dtype":"BF16"' in path.read_bytes()
    for dtype in ("bfloat16", "float32"):
        twin = tn.load(mlp(2, 3, 2, seed=9, dtype=dtype), path)
        assert twin[0].weight.dtype == dtype
        assert twin[0].weight.tolist() == model[0].weight.tolist()

    def missing(name, *rest):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(CheckpointError, match=r"m.safetensors.*ml_dtypes.*tinynet-engine\[bfloat16\]"):
        tn.load(twin, path)


@pytest.mark.torch
@pytest.mark.parametrize("taught", [False, True], ids=["unknown to NumPy", "taught to NumPy by ml_dtypes"])
def test_a_type_that_tinynet_has_not(tmp_path, taught) -> None:
    import torch
    from safetensors.torch import save_file

    if taught:
        pytest.importorskip("ml_dtypes")

    save_file({"0.weight": torch.zeros(2, 2, dtype=torch.float8_e4m3fn)}, tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match=r"float8.*float32"):
        tn.load(mlp(2, 2), tmp_path / "m.safetensors")


@pytest.mark.tiny
def test_another_programs_file_with_words_of_its_own(tmp_path) -> None:
    from safetensors.numpy import save_file

    model = mlp(2, 3, 2, seed=4)
    for about in ("a fine model", "[1]", '{"trainer": 1}'):
        save_file(weights(model), tmp_path / "m.safetensors", {"about": about, "format": "pt"})
        same_bits(weights(tn.load(mlp(2, 3, 2), tmp_path / "m.safetensors")), weights(model))


@pytest.mark.tiny
def test_a_trained_model_and_the_model_in_a_run(tmp_path) -> None:
    trainer = moons_trainer(optim.Adam())
    trainer.fit(MOONS, epochs=2, checkpoint=tmp_path / "run.safetensors", progress=False)
    tn.save(trainer.model, tmp_path / "m.safetensors")
    for name in ("run", "m"):
        same_bits(weights(tn.load(mlp(2, 6, 2, seed=9), tmp_path / f"{name}.safetensors")), weights(trainer.model))


@pytest.mark.parametrize("backend", ["scalar", "numpy"])
def test_weights_load_on_every_backend(backend: str, tmp_path) -> None:
    model = mlp(2, 3, 2, dtype="float64")
    tn.save(model, tmp_path / "m.safetensors")
    same_bits(
        weights(tn.load(mlp(2, 3, 2, seed=9, dtype="float64").to(backend), tmp_path / "m.safetensors")), weights(model)
    )


@pytest.mark.tiny
def test_the_optimizer_goes_on_with_loaded_weights(tmp_path) -> None:
    model, other = mlp(2, 6, 2), mlp(2, 6, 2, seed=9)
    tn.save(model, tmp_path / "m.safetensors")
    trainer = moons_trainer(model=other)
    trainer.fit(MOONS, epochs=1, progress=False)
    tn.load(other, tmp_path / "m.safetensors")
    trainer.fit(MOONS, epochs=1, progress=False)
    twin = moons_trainer(model=model)
    twin.fit(MOONS, epochs=1, progress=False)
    same_bits(weights(other), weights(model))


# --- what cannot be loaded --------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_wrong_names_and_shapes_are_all_listed_and_nothing_changes(tmp_path) -> None:
    path = tn.save(mlp(2, 6, 3), tmp_path / "m.safetensors")
    model = mlp(2, 5, 3, 2)
    before = weights(model)
    with pytest.raises(ArgumentError) as caught:
        tn.load(model, path)
    for words in ("0.weight", "(5, 2)", "(6, 2)", "2.weight", "missing     4.weight (2, 3)"):
        assert words in str(caught.value)
    same_bits(weights(model), before)


@pytest.mark.tiny
def test_what_is_not_there(tmp_path) -> None:
    for path, words in ((tmp_path / "m.safetensors", "no such file"), (tmp_path, "folder")):
        with pytest.raises(CheckpointError, match=words):
            tn.load(mlp(2, 2), path)


def test_a_file_cut_short_at_any_length_is_refused(tmp_path) -> None:
    trainer = moons_trainer(optim.Adam())
    trainer.fit(MOONS, epochs=1, checkpoint=tmp_path / "run", progress=False)
    whole = (tmp_path / "run").read_bytes()
    before = weights(trainer.model)
    for length in sorted({*range(0, 24), *range(24, len(whole), 97), len(whole) - 1}):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="cut"):
            tn.load(trainer.model, tmp_path / "cut")
        with pytest.raises(CheckpointError, match="cut"):
            trainer.fit(MOONS, epochs=2, resume=tmp_path / "cut", progress=False)
    same_bits(weights(trainer.model), before)


@pytest.mark.parametrize("content", [b"GIF89a" * 50, b"{}", b"\xff" * 100, b"\x00" * 100, pickle.dumps({"a": 1})])
def test_a_foreign_file_is_refused(content: bytes, tmp_path) -> None:
    (tmp_path / "m").write_bytes(content)
    if content == b"\x00" * 100:  # an empty header is no JSON either
        assert content[:8] == bytes(8)
    with pytest.raises(CheckpointError, match="safetensors"):
        tn.load(mlp(2, 2), tmp_path / "m")


@pytest.mark.tiny
def test_arguments_the_wrong_way_round() -> None:
    for function in (tn.save, tn.load):
        with pytest.raises(TypeMismatch, match=r"\(model, path\)"):
            function("m.safetensors", mlp(2, 2))


def test_no_pickle_in_any_file(tmp_path, monkeypatch) -> None:
    def never(*_, **__):
        raise AssertionError("pickle was used")

    for name in ("dumps", "dump", "loads", "load", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, never)
    trainer = moons_trainer(optim.Adam(), callbacks=[tn.training.EarlyStopping(monitor="loss")])
    trainer.fit(MOONS, epochs=1, checkpoint=tmp_path / "run", progress=False)
    trainer.fit(MOONS, epochs=2, resume=tmp_path / "run", progress=False)
    tn.load(trainer.model, tn.save(trainer.model, tmp_path / "m"))
    for file in ("run", "m"):  # eight bytes of length, then a header of JSON: nothing that could be executed
        content = (tmp_path / file).read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        sizes = [part["data_offsets"][1] for name, part in header.items() if name != "__metadata__"]
        assert max(sizes) == len(content) - 8 - int.from_bytes(content[:8], "little")


# --- written whole or not at all --------------------------------------------------------------------------------------


@pytest.mark.tiny
@pytest.mark.parametrize("function", ["replace", "fsync", "write"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["full disk", "interrupt"]
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(function: str, error, tmp_path, monkeypatch) -> None:
    old, new = mlp(2, 2, seed=1), mlp(2, 2, seed=2)
    path = tn.save(old, tmp_path / "m.safetensors")

    def fail(*_, **__):
        raise error

    if function == "write":
        import tempfile

        make = tempfile.NamedTemporaryFile

        def full(*args, **options):
            file = make(*args, **options)
            file.write = lambda content: (file.file.write(content[:50]), fail())
            return file

        monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    else:
        monkeypatch.setattr(os, function, fail)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else FileError):
        tn.save(new, path)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
    same_bits(weights(tn.load(mlp(2, 2, seed=3), path)), weights(old))


def test_a_full_disk_during_training_leaves_the_last_checkpoint(tmp_path, monkeypatch) -> None:
    class FillDisk(tn.training.Callback):
        def on_epoch_end(self, trainer, row):
            if row["epoch"] == 3:
                monkeypatch.setattr(
                    os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left"))
                )

    whole = moons_trainer()
    whole.fit(MOONS, epochs=5, progress=False)
    trainer = moons_trainer(callbacks=[FillDisk()])
    with pytest.raises(FileError, match="No space left"):
        trainer.fit(MOONS, epochs=5, checkpoint=tmp_path / "run", progress=False)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["run"]
    trainer = moons_trainer(callbacks=[FillDisk()], model=mlp(2, 6, 2, seed=8))
    monkeypatch.setattr(FillDisk, "on_epoch_end", lambda *_: None)
    history = trainer.fit(MOONS, epochs=5, checkpoint=tmp_path / "run", resume=True, progress=False)
    assert len(history) == 5
    same_bits(weights(trainer.model), weights(whole.model))


@pytest.mark.tiny
def test_folders_are_made_and_a_file_in_the_way_is_named(tmp_path) -> None:
    path = tn.save(mlp(2, 2), tmp_path / "a" / "b" / "m.safetensors")
    assert path.is_file()
    with pytest.raises(FileError, match=r"m\.safetensors"):
        tn.save(mlp(2, 2), path / "below")


@pytest.mark.tiny
def test_a_callback_that_cannot_be_saved_is_refused_at_the_start(tmp_path) -> None:
    class Holder(tn.training.Callback):
        def __init__(self) -> None:
            self.thing = object()

    trainer = moons_trainer(callbacks=[Holder()])
    before = weights(trainer.model)
    with pytest.raises(TypeMismatch, match=r"callback\.0\.thing.*Holder"):
        trainer.fit(MOONS, epochs=1, checkpoint=tmp_path / "run", progress=False)
    same_bits(weights(trainer.model), before)
    trainer.fit(data.moons(10), epochs=1, progress=False)
