"""The user's own data is loaded, and every fault has a message with its remedy."""

import re
import wave
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bench import catalog
from bench.data import user, user_files
from bench.errors import UsageError

IMAGES = user.TAKES["images"]
CSV = user.TAKES["csv"]


def refused(message: str, *arguments: object) -> None:
    """Assert that loading raises exactly this message."""
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        user.load(*arguments)


def image(path: Path, size: tuple[int, int] = (8, 6), red: int = 200) -> Path:
    """Write a picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (red, 0, 0)).save(path)
    return path


def sound(path: Path, rate: int = 16_000, bits: int = 16, frames: int = 100) -> Path:
    """Write a WAV file of silence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(bits // 8)
        file.setframerate(rate)
        file.writeframes(bytes(frames * bits // 8))
    return path


def text(path: Path, content: bytes) -> Path:
    """Write a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of two classes: one PNG cat, two JPEG dogs."""
    image(tmp_path / "dog" / "b.JPG", red=9)
    image(tmp_path / "dog" / "a.jpeg", red=9)
    image(tmp_path / "cat" / "c.png")
    text(tmp_path / "cat" / "notes.md", b"not a picture")
    text(tmp_path / ".cache" / "x.jpg", b"not a class")
    return tmp_path


def test_a_folder_of_images_gives_their_paths_in_order(pictures: Path) -> None:
    """Other files and hidden folders are ignored."""
    paths = [str(pictures / name) for name in ("cat/c.png", "dog/a.jpeg", "dog/b.JPG")]
    assert user.load(str(pictures), "images") == paths
    assert user.load(str(pictures), "images_of_one_size", 2) == paths


def test_a_folder_of_images_gives_arrays(pictures: Path) -> None:
    """Pixels are uint8, labels follow the folders, and flat images are float32."""
    features, labels = user.load(str(pictures), "image_arrays", 10)
    assert features.shape == (3, 6, 8, 3)
    assert features.dtype == np.uint8
    assert features[0, 0, 0].tolist() == [200, 0, 0]
    assert labels.tolist() == [0, 1, 1]
    assert labels.dtype == np.int64
    flat, _ = user.load(str(pictures), "flat_images", 10)
    assert flat.dtype == np.float32
    np.testing.assert_array_equal(flat, features.reshape(3, -1))


def test_an_unknown_kind(tmp_path: Path) -> None:
    """A workload file may name a kind that does not exist."""
    message = "No kind of data named 'image'. Did you mean 'images'?"
    refused(message, str(tmp_path), "image")


def test_no_such_folder() -> None:
    message = f"No data at 'nowhere'. This workload takes {IMAGES}."
    refused(message, "nowhere", "images")


def test_a_data_set_of_another_kind() -> None:
    """A text workload has no use for CIFAR-10."""
    takes = user.TAKES["text"]
    message = f"No data at 'cifar10'. This workload takes {takes}."
    refused(message, "cifar10", "text")


def test_a_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    path = image(tmp_path / "a.jpg")
    message = f"'{path}' is not a folder. This workload takes {IMAGES}."
    refused(message, str(path), "images")


def test_an_empty_folder(tmp_path: Path) -> None:
    message = f"'{tmp_path}' has no folders in it. This workload takes {IMAGES}."
    refused(message, str(tmp_path), "images")


def test_an_empty_class(pictures: Path) -> None:
    (pictures / "emu").mkdir()
    message = (
        f"'{pictures / 'emu'}' has no .jpg, .jpeg, .png files. Put some there, or "
        "remove the folder."
    )
    refused(message, str(pictures), "images")


@pytest.mark.parametrize("parts", [["train"], ["test", "train"]])
def test_classes_that_lie_one_folder_deeper(tmp_path: Path, parts: list[str]) -> None:
    """Many downloaded data sets do so; the message proposes the deeper folder."""
    for part in parts:
        for name in ("cat", "dog"):
            image(tmp_path / part / name / "a.png")
    message = (
        f"'{tmp_path / parts[0]}' has no .jpg, .jpeg, .png files, but folders. If "
        f"these are the classes, use --data {tmp_path / parts[0]}."
    )
    refused(message, str(tmp_path), "images")


def test_one_class(tmp_path: Path) -> None:
    image(tmp_path / "cat" / "a.jpg")
    message = f"'{tmp_path}' has only 1 class. At least 2 are needed."
    refused(message, str(tmp_path), "images")


def test_more_classes_than_the_model_has(pictures: Path) -> None:
    """Labels beyond the model's outputs would make the loss meaningless."""
    image(pictures / "emu" / "a.jpg")
    message = (
        f"'{pictures}' has 3 classes; this workload takes at most 2. Remove 1, or use "
        "another workload."
    )
    refused(message, str(pictures), "images", 2)


@pytest.mark.parametrize("kind", ["images", "image_arrays"])
@pytest.mark.parametrize("fault", ["cut", "other"])
def test_a_corrupt_image(pictures: Path, kind: str, fault: str) -> None:
    """One file is incomplete, and another one is no image."""
    path = pictures / "dog" / "a.jpeg"
    path.write_bytes(path.read_bytes()[:-150] if fault == "cut" else b"GIF89a...")
    message = f"'{path}' is not a complete JPEG or PNG image. Replace or remove it."
    refused(message, str(pictures), kind)


def test_an_image_with_bytes_after_its_end_is_whole(pictures: Path) -> None:
    """Cameras append to JPEG files; decoding shows that such a file is complete."""
    path = pictures / "dog" / "a.jpeg"
    path.write_bytes(path.read_bytes() + b"appended")
    assert len(user.load(str(pictures), "images")) == 3


def test_mixed_sizes_where_one_is_needed(pictures: Path) -> None:
    """`images` takes any size, the other kinds take one size."""
    other = image(pictures / "dog" / "z.jpg", size=(10, 20))
    assert len(user.load(str(pictures), "images")) == 4
    message = (
        f"'{other}' is 10x20 pixels, but '{pictures / 'cat' / 'c.png'}' is 8x6. This "
        "workload needs one size: resize them, or use the workload photo_files, which "
        "resizes."
    )
    refused(message, str(pictures), "images_of_one_size")
    refused(message, str(pictures), "image_arrays")


def test_an_unreadable_file(pictures: Path) -> None:
    """A link that leads nowhere is a file that cannot be read."""
    link = pictures / "dog" / "link.jpg"
    link.symlink_to(pictures / "gone.jpg")
    message = (
        f"Cannot read '{link}': No such file or directory. Change its permissions, or "
        "remove it."
    )
    refused(message, str(pictures), "images")


def test_a_folder_of_sounds(tmp_path: Path) -> None:
    """The paths are returned, as for images."""
    paths = [sound(tmp_path / name / "a.wav") for name in ("no", "yes")]
    assert user.load(str(tmp_path), "wav", 35) == [str(path) for path in paths]


def test_a_sound_of_another_kind(tmp_path: Path) -> None:
    """The rate and the width must match; the remedy is a command."""
    sound(tmp_path / "no" / "a.wav")
    path = sound(tmp_path / "yes" / "a.wav", rate=44_100, bits=8)
    message = (
        f"'{path}' has 8 bits at 44100 Hz; 16 bits at 16000 Hz are needed. Convert it: "
        "ffmpeg -i IN.wav -ar 16000 -sample_fmt s16 OUT.wav"
    )
    refused(message, str(tmp_path), "wav")


def test_a_sound_that_is_cut_short(tmp_path: Path) -> None:
    """TensorFlow would fail in the middle of a run."""
    sound(tmp_path / "no" / "a.wav")
    path = sound(tmp_path / "yes" / "a.wav")
    path.write_bytes(path.read_bytes()[:-50])
    message = (
        f"'{path}' has 150 bytes of sound, but its header states 200. Replace or "
        "remove it."
    )
    refused(message, str(tmp_path), "wav")


def test_what_is_not_a_sound(tmp_path: Path) -> None:
    """An MP3 file may have the ending of another format."""
    sound(tmp_path / "no" / "a.wav")
    path = text(tmp_path / "yes" / "a.wav", b"ID3\x03 not a WAV file")
    message = f"'{path}' is not a WAV file of plain PCM sound. Replace or remove it."
    refused(message, str(tmp_path), "wav")


def test_a_folder_of_texts(tmp_path: Path) -> None:
    """Texts are bytes, since such an array has a fingerprint."""
    text(tmp_path / "pos" / "a.txt", "très bon".encode())
    text(tmp_path / "neg" / "a.txt", b"bad")
    features, labels = user.load(str(tmp_path), "text", 2)
    assert features.tolist() == [b"bad", "très bon".encode()]
    assert features.dtype.kind == "S"
    assert labels.tolist() == [0, 1]


def test_a_text_that_is_not_utf8(tmp_path: Path) -> None:
    text(tmp_path / "neg" / "a.txt", b"bad")
    path = text(tmp_path / "pos" / "a.txt", "très bon".encode("latin1"))
    message = (
        f"'{path}' is not UTF-8: byte 2 is wrong. Convert it: iconv -f latin1 -t utf-8 "
        "IN.txt > OUT.txt"
    )
    refused(message, str(tmp_path), "text")


def test_an_empty_text(tmp_path: Path) -> None:
    """White space is no text."""
    text(tmp_path / "neg" / "a.txt", b"bad")
    path = text(tmp_path / "pos" / "a.txt", b" \n")
    message = f"'{path}' has no text. Write some, or remove it."
    refused(message, str(tmp_path), "text")


def test_a_text_far_longer_than_the_others(tmp_path: Path, monkeypatch) -> None:
    """Every text takes the width of the longest one, so the width has a limit."""
    monkeypatch.setattr(user_files, "MOST_TEXT_BYTES", 10)
    path = text(tmp_path / "neg" / "a.txt", b"rather bad")
    text(tmp_path / "pos" / "a.txt", b"good")
    message = (
        f"'{path}' has 10 bytes; with 2 files the longest may have 5. Split or remove "
        "it."
    )
    refused(message, str(tmp_path), "text")


def test_a_table_as_rows_and_as_lines(tmp_path: Path) -> None:
    """The column of the label may be anywhere and may contain words."""
    path = text(tmp_path / "a.csv", b"x,label,y\n1,no,2.5\n3,yes,-4\n")
    rows, labels = user.load(str(path), "rows", 2)
    assert rows.tolist() == [[1, 2.5], [3, -4]]
    assert rows.dtype == np.float32
    assert labels.tolist() == [0, 1]
    lines, labels = user.load(f"{path}:label", "csv", 2)
    assert lines.tolist() == [b"1.0,2.5", b"3.0,-4.0"]
    assert labels.dtype == np.int64


def test_a_table_with_another_label(tmp_path: Path) -> None:
    """The column follows a colon."""
    path = text(tmp_path / "a.csv", b"Time,Class\n1,0\n3,1\n5,0\n")
    features, labels = user.load(f"{path}:Class", "rows", 2)
    assert features.tolist() == [[1], [3], [5]]
    assert labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"x,label\n1,0\nNA,1\n",
            "'{0}', line 3: column 'x' is 'NA'. Labels must be filled in and all other "
            "fields must be finite 32-bit numbers: correct or remove the line or the "
            "column.",
        ),
        (
            b"x;label\n1,5;0\n2,5;1\n",
            "'{0}' has one column, 'x;label'. Separate its fields by commas.",
        ),
        (
            b"x\tlabel\n1\t0\n2\t1\n",
            "'{0}' has one column, 'x\tlabel'. Separate its fields by commas.",
        ),
        (
            b"x,Class\n1,0\n2,1\n",
            "'{0}' has no column 'label'. Its columns are: x, Class. Name the "
            "label's column: {0}:COLUMN",
        ),
        (b"", "'{0}' is empty. It needs a header and lines below the header."),
        (
            b"label\n1\n0\n",
            "'{0}' has no numbers to learn from: it needs a header, lines below "
            "the header, and a column beside 'label'.",
        ),
        (
            b"x,label\n1,0\nred,1\n",
            "'{0}', line 3: column 'x' is 'red'. Labels must be filled in and all "
            "other fields must be finite 32-bit numbers: correct or remove the line or "
            "the column.",
        ),
        (
            b"x,label\n1,0\n\n2,1\n1e39,1\n",
            "'{0}', line 3: column 'label' is empty. Labels must be filled in and all "
            "other fields must be finite 32-bit numbers: correct or remove the line or "
            "the column.",
        ),
        (
            b"x,label\n1,0\n2,1\n1e39,1\n",
            "'{0}', line 4: column 'x' is '1e+39'. Labels must be filled in and all "
            "other fields must be finite 32-bit numbers: correct or remove the line or "
            "the column.",
        ),
        (
            b"x,label\n1,0\n2,1,7\n",
            "'{0}' is not a CSV file in UTF-8: Expected 2 fields in line 3, saw 3. "
            "Correct or remove the line.",
        ),
        (
            b"x,label\n9,1,0\n9,2,1\n",
            "'{0}' has lines with more fields than its header, which has 2. Correct "
            "the header.",
        ),
        (
            b"x,label\n1,1\n2,1\n",
            "'{0}:label' has only 1 class. At least 2 are needed.",
        ),
        (
            b"x,label\n1,1\n2,2\n3,3\n",
            "'{0}:label' has 3 classes; this workload takes at most 2. Remove 1, or "
            "use another workload.",
        ),
    ],
)
def test_a_faulty_table(tmp_path: Path, content: bytes, message: str) -> None:
    """Each message names the line or the column, and the remedy."""
    path = text(tmp_path / "a.csv", content)
    refused(message.format(path), str(path), "rows", 2)


@pytest.mark.parametrize("word", ["NA", "None", "null", "nan"])
def test_a_class_may_have_a_name_that_means_nothing_to_pandas(
    tmp_path: Path, word: str
) -> None:
    """The columns of numbers stay numbers."""
    path = text(tmp_path / "a.csv", f"x,y,label\n1,2.5,{word}\n3,4,z\n".encode())
    rows, labels = user.load(str(path), "rows", 2)
    assert rows.tolist() == [[1, 2.5], [3, 4]]
    assert labels.tolist() == [0, 1]


def test_no_table(tmp_path: Path) -> None:
    message = f"No data at 'nowhere.csv'. This workload takes {CSV}."
    refused(message, "nowhere.csv", "csv")
    refused(message, "nowhere.csv:Class", "csv")
    message = f"'{tmp_path}' is a folder. This workload takes {CSV}."
    refused(message, str(tmp_path), "csv")


@pytest.mark.parametrize("load", [user.check, user.load])
def test_a_folder_with_the_name_of_a_data_set(
    tmp_path: Path, monkeypatch, load
) -> None:
    """The message asks which of the two is meant."""
    monkeypatch.chdir(tmp_path)
    image(tmp_path / "cifar10" / "cat" / "a.png")
    image(tmp_path / "cifar10" / "dog" / "a.png")
    with pytest.raises(UsageError) as caught:
        load("cifar10", "image_arrays", 10)
    assert str(caught.value) == (
        "'cifar10' is a data set of Keras and also a path here. Use ./cifar10 for "
        "the path, or rename the path to use the data set."
    )
    features, _ = user.load("./cifar10", "image_arrays", 10)
    assert features.shape == (2, 6, 8, 3)


@pytest.mark.parametrize("accepts", ["image_arrays", "flat_images"])
def test_cifar10(monkeypatch, accepts: str) -> None:
    """Keras returns labels as a column; they become a row."""
    images = np.arange(2 * 32 * 32 * 3).reshape(2, 32, 32, 3).astype(np.uint8)
    train = images, np.array([[3], [9]], dtype=np.uint8)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: (train, train))
    features, labels = user.load("cifar10", accepts, 10)
    np.testing.assert_array_equal(features.ravel(), images.ravel())
    assert features.shape[1:] == ((32, 32, 3) if accepts == "image_arrays" else (3072,))
    assert labels.tolist() == [3, 9]
    assert labels.dtype == np.int64


def test_imdb(monkeypatch) -> None:
    """Ranks become words; the start mark, 1, and unknown words, 2, are removed."""
    reviews = np.empty(2, dtype=object)
    reviews[:] = [[1, 4, 5], [1, 5, 2, 4, 6]]
    train = reviews, np.array([0, 1])
    ranks = {"the": 1, "film": 2, "très": 3}
    monkeypatch.setattr(keras.datasets.imdb, "load_data", lambda: (train, train))
    monkeypatch.setattr(keras.datasets.imdb, "get_word_index", lambda: ranks)
    features, labels = user.load("imdb", "text", 2)
    assert features.tolist() == [b"the film", "film the très".encode()]
    assert labels.tolist() == [0, 1]


def test_without_a_network(monkeypatch) -> None:
    """The message contains the error of Keras and a remedy."""

    def fail() -> None:
        raise Exception("URL fetch failure: no route to host")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fail)
    message = (
        "'cifar10' could not be loaded: URL fetch failure: no route to host. Keras "
        "downloads it once into ~/.keras/datasets: connect to a network, or copy that "
        "folder from elsewhere."
    )
    refused(message, "cifar10", "image_arrays")


def test_a_table_of_any_width_runs(tmp_path: Path) -> None:
    """The workload decodes the lines, builds its layer and passes its check."""
    path = text(tmp_path / "a.csv", b"x,label,y,z\n1,0,2,3\n2,1,5,6\n4,1,8,8\n")
    lines, labels = user.load(str(path), "csv", 2)
    module = catalog.load(catalog.find("features_csv"))
    layer = module.build(lines)
    rows = tf.stack(
        [module.decode(*pair)[0] for pair in zip(lines, labels, strict=True)]
    )
    assert rows.numpy().tolist() == [[1, 2, 3], [2, 5, 6], [4, 8, 8]]
    module.check(rows.numpy(), layer(rows).numpy())


def test_images_of_any_one_size_run(pictures: Path) -> None:
    """The decoded shape is that of the files, not that of generated images."""
    paths = user.load(str(pictures), "images_of_one_size", 10)
    module = catalog.load(catalog.find("photographs"))
    module.build(paths)
    files = tf.data.Dataset.from_tensor_slices((paths, [0, 1, 1]))
    dataset = files.interleave(module.read, cycle_length=1).map(module.decode)
    assert dataset.element_spec[0].shape == (6, 8, 3)
    assert [int(image[0, 0, 0]) // 100 for image, _ in dataset] == [2, 0, 0]


@pytest.mark.parametrize(
    "name", ["prose", "text_lstm", "text_gru", "text_bigrams", "text_tfidf"]
)
def test_texts_run(tmp_path: Path, name: str) -> None:
    """Words outside ASCII and lines of any length pass the check."""
    text(tmp_path / "neg" / "a.txt", "ÉTÉ — très, TRÈS mauvais!\n".encode())
    text(tmp_path / "pos" / "a.txt", b"good\tand very good; " * 20)
    texts, _ = user.load(str(tmp_path), "text", 2)
    module = catalog.load(catalog.find(name))
    layer = module.build(texts)
    module.check(texts, layer(tf.constant(texts)).numpy())
