"""Data sets: digits, image parquet and its cache, arithmetic tasks, text."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import runspread as rs
from runspread.errors import InputError
from runspread.training.datasets import load_dataset
from runspread.training.datasets.cache import cache_folder


def test_digits_are_split_in_one_documented_way():
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_digits

    data = load_dataset(rs.recipe("digits-mlp"))
    assert {name: split.inputs.shape for name, split in data.splits.items()} == {"train": (1437, 64), "test": (360, 64)}
    order = np.random.RandomState(0).permutation(1797)
    np.testing.assert_array_equal(data.splits["test"].labels, load_digits().target[order[-360:]])
    assert data.splits["train"].inputs.max() == 1.0
    held_out = load_dataset(rs.recipe("digits-mlp", validation=200, test_examples=100))
    assert {name: len(split) for name, split in held_out.splits.items()} == {
        "train": 1237,
        "validation": 200,
        "test": 100,
    }
    assert held_out.fingerprint != data.fingerprint
    assert load_dataset(rs.recipe("digits-mlp")).fingerprint == data.fingerprint
    for wrong in ({"validation": 1437}, {"train_examples": 5000}):
        with pytest.raises(InputError):
            load_dataset(rs.recipe("digits-mlp", **wrong))


def test_digits_are_split_anew_by_a_seed():
    pytest.importorskip("sklearn")
    sizes = {"train_examples": 1200, "validation": 600, "test_examples": 597}
    one, other = (load_dataset(rs.recipe("digits-mlp", split_seed=seed, **sizes)) for seed in (1, 2))
    assert {name: len(split) for name, split in one.splits.items()} == {"train": 600, "validation": 600, "test": 597}
    assert one.fingerprint != other.fingerprint
    rows = [np.concatenate([split.inputs for split in data.splits.values()]) for data in (one, other)]
    np.testing.assert_array_equal(*(np.sort(each.sum(axis=1)) for each in rows))  # the same digits, dealt otherwise


def write_images(path: Path, images: np.ndarray, labels: list[int]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("PIL")
    from PIL import Image

    parquet = pytest.importorskip("pyarrow.parquet")

    cells = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="PNG")
        cells.append({"bytes": buffer.getvalue(), "path": None})
    parquet.write_table(pyarrow.table({"image": cells, "label": labels}), path)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder of tiny colour images, its arrays, and a cache folder of its own."""
    monkeypatch.setenv("RUNSPREAD_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    folder.mkdir()
    generator = np.random.default_rng(0)
    arrays = {"train": generator.integers(0, 256, (20, 4, 6, 3), np.uint8)}
    arrays["test"] = generator.integers(0, 256, (8, 4, 6, 3), np.uint8)
    for name, images in arrays.items():
        write_images(folder / f"{name}.parquet", images, [i % 3 for i in range(len(images))])
    return folder, arrays


def test_images_are_drawn_by_a_seed_and_pooled_once(pictures):
    folder, arrays = pictures
    pooled = arrays["train"].reshape(20, 2, 2, 3, 2, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    fields = {"data": str(folder), "pool": 2, "train_examples": 12, "validation": 4, "split_seed": 3}
    data = load_dataset(rs.recipe("mnist-lenet", **fields))
    order = np.random.RandomState(3).permutation(20)[:12]
    np.testing.assert_allclose(data.splits["train"].inputs, pooled[order[:8]], rtol=1e-6)
    np.testing.assert_allclose(data.splits["validation"].inputs, pooled[order[8:]], rtol=1e-6)
    np.testing.assert_array_equal(data.splits["train"].labels, order[:8] % 3)
    cached = list((folder / ".runspread-cache").glob("train-*-pool2.npy"))
    assert len(cached) == 1
    cached[0].write_bytes(cached[0].read_bytes()[:-4] + np.float32(2).tobytes())  # what is kept is what is read
    everything = load_dataset(rs.recipe("mnist-lenet", data=str(folder), pool=2))
    assert everything.splits["train"].inputs[-1, -1, -1, -1] == 2
    with pytest.raises(InputError, match="divisor"):
        load_dataset(rs.recipe("mnist-lenet", **fields | {"pool": 5}))


def test_parquet_images_are_decoded_once(pictures, capsys):
    folder, arrays = pictures
    recipe = rs.recipe("mnist-lenet", data=str(folder))
    data = load_dataset(recipe)
    np.testing.assert_array_equal(data.splits["train"].inputs, arrays["train"].transpose(0, 3, 1, 2))
    assert list(data.splits["test"].labels) == [0, 1, 2, 0, 1, 2, 0, 1]
    assert data.n_classes == 3
    assert "decoding train images" in capsys.readouterr().err
    np.testing.assert_allclose(data.mean.ravel(), arrays["train"].mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(data.std.ravel(), arrays["train"].std(axis=(0, 1, 2)), rtol=1e-6)
    again = load_dataset(recipe)
    assert capsys.readouterr().err == ""
    assert again.fingerprint == data.fingerprint
    assert (folder / ".runspread-cache").is_dir()


def test_changed_contents_are_decoded_again(pictures):
    folder, arrays = pictures
    first = load_dataset(rs.recipe("mnist-lenet", data=str(folder)))
    write_images(folder / "train.parquet", arrays["train"][::-1], [0] * 20)
    second = load_dataset(rs.recipe("mnist-lenet", data=str(folder)))
    assert second.fingerprint != first.fingerprint
    np.testing.assert_array_equal(second.splits["train"].inputs, arrays["train"][::-1].transpose(0, 3, 1, 2))


def test_a_folder_marked_read_only_is_left_alone(pictures, tmp_path):
    folder, _ = pictures
    folder.chmod(0o555)
    try:
        load_dataset(rs.recipe("mnist-lenet", data=str(folder)))
        assert not (folder / ".runspread-cache").exists()
        assert cache_folder(folder) == tmp_path / "cache" / "images"
        assert len(list((tmp_path / "cache" / "images").iterdir())) == 4
    finally:
        folder.chmod(0o755)


def test_pooling_averages_blocks(pictures):
    folder, arrays = pictures
    data = load_dataset(rs.recipe("mnist-lenet", data=str(folder), pool=2, scale="unit"))
    expected = arrays["test"].astype(float).reshape(8, 2, 2, 3, 2, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(data.splits["test"].inputs, expected, rtol=1e-6)
    assert data.std.item() == 255
    with pytest.raises(InputError, match="pool=4"):
        load_dataset(rs.recipe("mnist-lenet", data=str(folder), pool=4))


def test_features_are_standardised_each_by_itself(pictures):
    folder, arrays = pictures
    data = load_dataset(rs.recipe("mnist-lenet", data=str(folder), scale="feature"))
    train = arrays["train"].astype(float).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(data.mean, train.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(data.std, train.std(axis=0), rtol=1e-5)


def test_images_that_cannot_be_read_are_named(pictures):
    import pyarrow
    import pyarrow.parquet

    folder, _ = pictures
    cells = [{"bytes": b"no picture", "path": None}]
    pyarrow.parquet.write_table(pyarrow.table({"image": cells, "label": [0]}), folder / "test.parquet")
    with pytest.raises(InputError, match="image 0 cannot be decoded"):
        load_dataset(rs.recipe("mnist-lenet", data=str(folder)))
    pyarrow.parquet.write_table(pyarrow.table({"picture": cells, "label": [0]}), folder / "test.parquet")
    with pytest.raises(InputError, match="columns"):
        load_dataset(rs.recipe("mnist-lenet", data=str(folder)))
    with pytest.raises(InputError, match=r"no train\*\.parquet"):
        load_dataset(rs.recipe("mnist-lenet", data=str(folder.parent)))


def test_modular_addition_is_all_pairs():
    data = load_dataset(rs.recipe("modular-addition"))
    train, test = data.splits["train"], data.splits["test"]
    assert (len(train), len(test), data.n_classes) == (3830, 8939, 114)  # Hu et al.: int(0.3 * 113 ** 2)
    pairs = np.concatenate([train.inputs, test.inputs])
    assert len({tuple(pair) for pair in pairs.tolist()}) == 113**2
    np.testing.assert_array_equal(train.labels, train.inputs.sum(axis=1) % 113)
    other = load_dataset(rs.recipe("modular-addition", data_seed=1))
    assert other.fingerprint != data.fingerprint


def test_sparse_parity_is_the_product_of_the_first_three():
    data = load_dataset(rs.recipe("sparse-parity"))
    train = data.splits["train"]
    assert train.inputs.shape == (1000, 40)
    assert set(np.unique(train.inputs)) == {-1.0, 1.0}
    np.testing.assert_array_equal(2 * train.labels - 1, train.inputs[:, 0] * train.inputs[:, 1] * train.inputs[:, 2])


def test_text_is_cut_into_sequences(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("abcdefgh" * 50, encoding="utf-8")
    data = load_dataset(rs.recipe("text-mlm-small", data=str(path), length=10))
    train, test = data.splits["train"], data.splits["test"]
    assert (len(train), len(test), data.n_classes) == (36, 4, 9)
    assert "".join("abcdefgh"[code] for code in train.inputs[0]) == "abcdefghab"
    hidden = test.labels >= 0
    assert 0 < hidden.mean() < 0.5
    assert (test.inputs[hidden] == 8).all()
    assert (train.labels == -1).all()
    with pytest.raises(InputError, match="no text"):
        load_dataset(rs.recipe("text-mlm-small"))
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match="not UTF-8"):
        load_dataset(rs.recipe("text-mlm-small", data=str(path)))
