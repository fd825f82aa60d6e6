"""Checkpoints: a run that is resumed is the run that was not interrupted, bit for bit."""

from __future__ import annotations

import contextlib
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensornet import nn
from tensornet.errors import CheckpointError, TensorNetError
from tensornet.nn.callbacks import (
    Callback,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from tensornet.nn.data import Dataset

RNG = np.random.default_rng(0)
X = RNG.standard_normal((50, 4)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(np.int64)

SUFFIXES = ["npz", pytest.param("safetensors", id="safetensors")]


def model_of(optimizer: Any = None, units: int = 2) -> nn.Sequential:
    """All that has a state: dropout, running means, an optimiser with moments."""
    model = nn.Sequential(
        [
            nn.Dense(6, activation="relu"),
            nn.BatchNorm(momentum=0.9),
            nn.Dropout(0.3),
            nn.Dense(units),
        ],
        seed=0,
    )
    model.compile(optimizer or nn.Adam(0.02), metrics=["accuracy", "confusion_matrix"])
    return model


def fit(model: nn.Module, *callbacks: Callback, **options: Any) -> nn.History:
    given = {"epochs": 4, "batch_size": 8, "verbose": 0, "validation_split": 0.2, **options}
    return model.fit(X, Y, callbacks=callbacks, **given)


def needs(suffix: str) -> None:
    if suffix == "safetensors":
        pytest.importorskip("safetensors")


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for first, second in [
        (one.state_dict(), other.state_dict()),
        (one.optimizer.state_dict(one), other.optimizer.state_dict(other)),
    ]:
        assert first.keys() == second.keys()
        for name, array in first.items():
            np.testing.assert_array_equal(array, second[name], err_msg=name)


def assert_same_history(one: nn.History, other: nn.History) -> None:
    assert one.epoch == other.epoch
    assert one.history.keys() == other.history.keys()
    for name, values in one.history.items():
        np.testing.assert_array_equal(values, other.history[name], err_msg=name)


class Crash(Exception):
    pass


def crash_at(step: int) -> Callback:
    seen = []

    def count(*_: Any) -> None:
        seen.append(0)
        if len(seen) == step:
            raise Crash

    return LambdaCallback(on_train_batch_end=count)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("every", ["epoch", 1, 3, 5])
def test_resuming_gives_the_uninterrupted_run(suffix: str, every: Any, tmp_path: Path) -> None:
    needs(suffix)
    whole, path = model_of(), tmp_path / f"run.{suffix}"
    history = fit(whole, seed=7)
    with pytest.raises(Crash):
        fit(model_of(), ModelCheckpoint(path, save_freq=every), crash_at(13), seed=7)
    resumed = model_of()
    assert_same_history(fit(resumed, resume=path), history)
    assert_same(resumed, whole)


def test_a_run_without_a_seed_goes_on_in_its_own_order(tmp_path: Path) -> None:
    whole = model_of()
    save = ModelCheckpoint(tmp_path / "at-{epoch}.npz")
    history = fit(whole, save)
    resumed = model_of()
    assert_same_history(fit(resumed, resume=tmp_path / "at-1.npz"), history)
    assert_same(resumed, whole)


def test_callbacks_go_on_where_they_were(tmp_path: Path) -> None:
    def callbacks() -> list[Callback]:
        return [
            ModelCheckpoint(tmp_path / "run.npz", save_freq=7),
            LearningRateScheduler(lambda epoch, rate: rate * 0.9),
            ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=10.0),
            EarlyStopping("loss", patience=2, min_delta=10.0, restore_best_weights=True),
        ]

    whole = model_of()
    history = fit(whole, *callbacks(), seed=1, epochs=6)
    assert len(history.epoch) == 3
    with pytest.raises(Crash):
        fit(model_of(), *callbacks(), crash_at(13), seed=1, epochs=6)
    resumed = model_of()
    assert_same_history(fit(resumed, *callbacks(), resume=tmp_path / "run.npz", epochs=6), history)
    assert_same(resumed, whole)


def test_a_dataset_goes_on_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    def data() -> Dataset:
        noise = Dataset.from_arrays(X, Y).shuffle(16, seed=3).batch(8)
        return noise.map(
            lambda x, y, rng: (x + rng.standard_normal(x.shape, np.float32), y), 2, seed=5
        ).prefetch()

    whole, path = model_of(), tmp_path / "run.npz"
    whole.fit(data(), epochs=3, verbose=0)
    with pytest.raises(Crash):
        model_of().fit(
            data(), epochs=3, verbose=0, callbacks=[ModelCheckpoint(path, save_freq=4), crash_at(9)]
        )
    resumed = model_of()
    resumed.fit(data(), epochs=3, verbose=0, resume=path)
    assert_same(resumed, whole)
    other = model_of()
    other.build((None, 4))
    before = other.state_dict()
    with pytest.raises(ValueError, match="another dataset"):
        other.fit(data().take(3), epochs=3, verbose=0, resume=path)
    for name, array in other.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_finished_run_goes_on_for_more_epochs(tmp_path: Path) -> None:
    whole, parts = model_of(), model_of()
    history = fit(whole, seed=2, epochs=5)
    fit(parts, seed=2, epochs=2)
    parts.save_checkpoint(tmp_path / "two.npz")
    resumed = model_of()
    assert_same_history(fit(resumed, resume=tmp_path / "two.npz", epochs=5), history)
    assert_same(resumed, whole)
    assert resumed.epochs_done == 5


def test_what_is_saved_after_an_error_is_what_was_trained_on(tmp_path: Path) -> None:
    whole, broken = model_of(), model_of()
    history = fit(whole, seed=3)

    def stop(batch: int, logs: Any) -> None:
        if broken.optimizer.step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(broken, LambdaCallback(on_train_batch_begin=stop), seed=3)
    broken.save_checkpoint(tmp_path / "run.npz")
    resumed = model_of()
    assert_same_history(fit(resumed, resume=tmp_path / "run.npz"), history)
    assert_same(resumed, whole)


def test_a_loop_of_ones_own_saves_and_goes_on(tmp_path: Path) -> None:
    def train(stop: int, resume: bool = False) -> nn.Sequential:
        model, optimizer = model_of(), nn.Adam(0.02)
        model.build((None, 4))
        model.optimizer = optimizer
        data = Dataset.from_arrays(X, Y).shuffle(None, seed=0).batch(8).repeat(3)
        state = nn.load_checkpoint(tmp_path / "own.npz", model, optimizer) if resume else None
        steps = data.iterate(state)
        for x, y in steps:
            optimizer.minimize(
                lambda: nn.losses.sparse_softmax_cross_entropy(model(x), y),  # noqa: B023
                model,
            )
            if optimizer.step == stop:
                nn.save_checkpoint(tmp_path / "own.npz", model, optimizer, steps.state())
                break
        return model

    whole = train(0)
    train(5)
    assert_same(train(0, resume=True), whole)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_weights_alone_come_back(suffix: str, tmp_path: Path) -> None:
    needs(suffix)
    model, path = model_of(), tmp_path / f"weights.{suffix}"
    fit(model)
    model.save_weights(path)
    other = model_of()
    other.build((None, 4))
    other.load_weights(path)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    with pytest.raises(CheckpointError, match="not where a call of fit stands"):
        fit(other, resume=path)


def test_a_checkpoint_of_another_model_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    model, path = model_of(), tmp_path / "run.npz"
    fit(model)
    model.save_checkpoint(path)
    others = [
        (model_of(units=3), r"layers.3.kernel has shape \(6, 2\) instead of \(6, 3\)"),
        (nn.Sequential([nn.Dense(6), nn.Dense(2)], seed=0), "missing: layers.1.kernel.*unexpected"),
        (model_of(nn.SGD(0.1)), "Adam, not the state of SGD"),
    ]
    for other, words in others:
        other.compile(other.optimizer or "adam")
        other.build((None, 4))
        other(X)
        before = other.state_dict()
        with pytest.raises(CheckpointError, match=words) as caught:
            fit(other, resume=path)
        assert str(path) in str(caught.value)
        assert other.optimizer.step == 0
        for name, array in other.state_dict().items():
            np.testing.assert_array_equal(array, before[name])


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = model_of(), tmp_path / "run.npz"
    fit(model, epochs=1)
    model.save_checkpoint(path)
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space"):
        model.save_checkpoint(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["run.npz"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damage_is_found(suffix: str, tmp_path: Path) -> None:
    needs(suffix)
    model, path = model_of(), tmp_path / f"run.{suffix}"
    fit(model, epochs=1)
    model.save_checkpoint(path)
    whole = path.read_bytes()
    before = model.state_dict()
    rng = np.random.default_rng(0)
    for damaged in [b"", whole[:100], whole[:-30], b"PK" + whole[2:5], bytes(len(whole))]:
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged or no checkpoint"):
            model.load_weights(path)
    if suffix == "npz":  # whose bits are summed up
        for place in rng.integers(len(whole), size=40).tolist():
            flipped = bytearray(whole)
            flipped[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(flipped)
            with contextlib.suppress(CheckpointError):
                model.load_weights(path)
            for name, array in model.state_dict().items():
                np.testing.assert_array_equal(array, before[name])


def npy(shape: tuple[int, ...], content: bytes, dtype: str = "<f4") -> bytes:
    """An npy file whose header says what it likes."""
    header = str({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


@pytest.mark.parametrize(
    "entries",
    [
        {"model/w": npy((1 << 40,), bytes(8))},
        {"model/w": npy((2,), bytes(64))},
        {"model/w": npy((-2,), b"")},
        {"model/w": npy((1,), b"cos\nsystem\n", "|O")},
        {"model/w": b"no array"},
        {},
    ],
    ids=["huge", "too long", "negative", "pickled", "no array", "no description"],
)
def test_no_size_in_a_file_is_trusted(entries: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    about = json.dumps({"format": "tensornet-model 1"}).encode()
    with zipfile.ZipFile(path, "w") as file:
        if entries:
            file.writestr("about.npy", npy((len(about),), about, "|u1"))
        for name, content in entries.items():
            file.writestr(f"{name}.npy", content)
    with pytest.raises(CheckpointError, match="damaged or no checkpoint"):
        model_of().load_weights(path)


def test_compressed_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "packed.npz"
    np.savez_compressed(path, about=np.zeros(10_000, np.uint8))
    with pytest.raises(CheckpointError, match="damaged or no checkpoint"):
        model_of().load_weights(path)


def test_other_errors_name_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of()
    with pytest.raises(TensorNetError, match="save_weights"):
        model.save_checkpoint(tmp_path / "run.npz")
    with pytest.raises(ValueError, match=r"neither .npz nor .safetensors"):
        model.save_weights(tmp_path / "run.pkl")
    with pytest.raises(FileNotFoundError):
        fit(model, resume=tmp_path / "none.npz")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"tensornet\[safetensors\]"):
        model.save_weights(tmp_path / "run.safetensors")
