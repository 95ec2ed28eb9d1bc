"""Hugging Face datasets, saved on disk by their own library, as labelled photos."""

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tamis.data import open_dataset
from tamis.errors import TamisError

datasets: Any = pytest.importorskip("datasets", reason="the extra 'hf' is not installed")


def picture(shade: int) -> dict[str, Any]:
    out = io.BytesIO()
    Image.new("RGB", (4, 4), (shade, 0, 0)).save(out, "PNG")
    return {"bytes": out.getvalue(), "path": None}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Splits `train` of two and `test` of one, whose label is hidden."""
    folder = tmp_path_factory.mktemp("hf") / "saved"
    features = datasets.Features(
        photo=datasets.Image(), label=datasets.ClassLabel(names=["cat", "dog"])
    )
    made = {
        "train": {"photo": [picture(1), picture(2)], "label": [1, 0]},
        "test": {"photo": [picture(3)], "label": [-1]},
    }
    datasets.DatasetDict(
        {name: datasets.Dataset.from_dict(rows, features) for name, rows in made.items()}
    ).save_to_disk(folder)
    return folder


def test_rows_are_photos_with_classes(saved: Path) -> None:
    photos = open_dataset(f"hf:{saved}:split=train:image=photo")
    assert [int(photo.load()[0, 0, 0]) for photo in photos] == [1, 2]
    assert [photo.label for photo in photos] == [1, 0]
    assert photos[1].source.place == f"{saved}/train/000001"
    sent = pickle.loads(pickle.dumps(photos[1]))
    assert int(sent.load()[0, 0, 0]) == 2


def test_a_hidden_label_is_none(saved: Path) -> None:
    (photo,) = open_dataset(f"hf:{saved}:split=test:image=photo:label=label")
    assert photo.label is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("split=train", "no column 'image'; it has photo, label"),
        ("split=train:image=photo:label=class", "no column 'class'"),
        ("image=photo", "validation"),
    ],
)
def test_what_a_dataset_does_not_have_is_told_in_one_line(
    saved: Path, options: str, told: str
) -> None:
    with pytest.raises(TamisError, match=told) as caught:
        open_dataset(f"hf:{saved}:{options}")
    assert "\n" not in str(caught.value)
