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
from bench.data import source, user
from bench.data.intake import Intake
from bench.errors import UsageError

IMAGES = user.TAKES["images"]


def refused(message: str, *arguments: object) -> None:
    """Assert that loading raises exactly this message."""
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        user.load(*arguments)


def image(path: Path, size: tuple[int, int] = (8, 6), red: int = 200) -> Path:
    """Write a picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (red, 0, 0)).save(path)
    return path


def sound(
    path: Path,
    rate: int = 16_000,
    bits: int = 16,
    frames: int = 100,
    channels: int = 1,
) -> Path:
    """Write a WAV file of silence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(bits // 8)
        file.setframerate(rate)
        file.writeframes(bytes(frames * channels * bits // 8))
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
    assert user.load(str(pictures), "images_of_one_size") == paths


def test_a_folder_of_images_gives_arrays(pictures: Path) -> None:
    """Pixels are uint8, labels follow the folders, and flat images are float32."""
    features, labels = user.load(str(pictures), "image_arrays")
    assert features.shape == (3, 6, 8, 3)
    assert features.dtype == np.uint8
    assert features[0, 0, 0].tolist() == [200, 0, 0]
    assert labels.tolist() == [0, 1, 1]
    assert labels.dtype == np.int64
    flat, _ = user.load(str(pictures), "flat_images")
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
        f"'{pictures / 'emu'}' has no .jpg, .jpeg, .png, .gif files. Put some "
        "there, or remove the folder."
    )
    refused(message, str(pictures), "images")


@pytest.mark.parametrize("parts", [["train"], ["test", "train"]])
def test_classes_that_lie_one_folder_deeper(tmp_path: Path, parts: list[str]) -> None:
    """Many downloaded data sets do so; the message proposes the deeper folder."""
    for part in parts:
        for name in ("cat", "dog"):
            image(tmp_path / part / name / "a.png")
    message = (
        f"'{tmp_path / parts[0]}' has no .jpg, .jpeg, .png, .gif files, but "
        f"folders. If these are the classes, use --data {tmp_path / parts[0]}."
    )
    refused(message, str(tmp_path), "images")


def test_one_class(tmp_path: Path) -> None:
    """Reading needs no classes, but a model does."""
    path = image(tmp_path / "cat" / "a.jpg")
    assert user.load(str(tmp_path), "images") == [str(path)]
    assert user.examine(str(tmp_path), "images", 10).untrainable == (
        f"'{tmp_path}' has only 1 class; a model needs at least 2. Use --consumer "
        "drain, which trains no model."
    )


def test_more_classes_than_the_model_has(pictures: Path) -> None:
    """Labels beyond the model's outputs would make the loss meaningless."""
    image(pictures / "emu" / "a.jpg")
    assert len(user.load(str(pictures), "images")) == 4
    assert user.examine(str(pictures), "images", 3).untrainable == ""
    assert user.examine(str(pictures), "images", 2).untrainable == (
        f"'{pictures}' has 3 classes; the workload's model distinguishes at most 2. "
        "Use --consumer drain, which trains no model, or remove 1."
    )


@pytest.mark.parametrize(
    ("kind", "formats"),
    [
        ("images", "JPEG, PNG or GIF"),
        ("image_arrays", "JPEG, PNG, GIF, BMP or WEBP"),
    ],
)
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("cut", "Truncated File Read"),
        ("other", "cannot identify image file"),
        ("inside", "broken PNG file (bad header checksum in b'IDAT')"),
    ],
)
def test_a_corrupt_image(
    pictures: Path, kind: str, formats: str, fault: str, why: str
) -> None:
    """A file is incomplete, or no image, or it has wrong bytes between right ends."""
    path = pictures / "dog" / "a.jpeg"
    if fault == "inside":
        content = bytearray(saved(path, format="PNG").read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(path.read_bytes()[:-150] if fault == "cut" else b"<html>...")
    message = (
        f"'{path}' is not a complete {formats} image: {why}. Replace or remove it, or "
        "leave such files out with --skip-damaged."
    )
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
    assert user.load(str(tmp_path), "wav") == [str(path) for path in paths]


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
        "remove it, or leave such files out with --skip-damaged."
    )
    refused(message, str(tmp_path), "wav")


def test_what_is_not_a_sound(tmp_path: Path) -> None:
    """An MP3 file may have the ending of another format."""
    sound(tmp_path / "no" / "a.wav")
    path = text(tmp_path / "yes" / "a.wav", b"ID3\x03 not a WAV file")
    message = (
        f"'{path}' is not a WAV file of plain PCM sound: file does not start with RIFF "
        "id. Replace or remove it, or leave such files out with --skip-damaged."
    )
    refused(message, str(tmp_path), "wav")


def test_a_folder_of_texts(tmp_path: Path) -> None:
    text(tmp_path / "pos" / "a.txt", "très bon".encode())
    text(tmp_path / "neg" / "a.txt", b"bad")
    features, labels = user.load(str(tmp_path), "text")
    assert features.tolist() == [b"bad", "très bon".encode()]
    assert labels.tolist() == [0, 1]


def test_a_text_that_is_not_utf8(tmp_path: Path) -> None:
    text(tmp_path / "neg" / "a.txt", b"bad")
    path = text(tmp_path / "pos" / "a.txt", "très bon".encode("latin1"))
    message = (
        f"'{path}' is not UTF-8: byte 2 is wrong. Convert it (iconv -f latin1 -t "
        "utf-8 IN.txt > OUT.txt), or leave such files out with --skip-damaged."
    )
    refused(message, str(tmp_path), "text")


@pytest.mark.parametrize("content", [b" \n", b"-- (...)\n", b""])
def test_a_text_without_words(tmp_path: Path, content: bytes) -> None:
    """White space and punctuation are no words."""
    text(tmp_path / "neg" / "a.txt", b"bad")
    path = text(tmp_path / "pos" / "a.txt", content)
    message = (
        f"'{path}' has no words. Write some, or remove it, or leave such files "
        "out with --skip-damaged."
    )
    refused(message, str(tmp_path), "text")


def test_a_long_text_costs_its_own_length_and_keeps_its_zero_bytes(tmp_path) -> None:
    text(tmp_path / "neg" / "a.txt", b"bad" * 1_000_000)
    text(tmp_path / "pos" / "a.txt", b"good\0")
    features, labels = user.load(f"memory:{tmp_path}", "text")
    assert features.tolist() == [b"bad" * 1_000_000, b"good\0"]
    assert features.nbytes == 2 * 8
    assert labels.tolist() == [0, 1]


def test_what_is_left_out_is_counted(pictures: Path) -> None:
    """Every file is either an example or has a reason; links to folders count."""
    text(pictures / "labels.csv", b"")
    image(pictures / "dog" / "puppies" / "more" / "a.png")
    image(pictures / "dog" / ".thumbnail.png")
    image(pictures / "elsewhere" / "emu" / "e.png")
    (pictures / "emu").symlink_to(pictures / "elsewhere" / "emu")
    image(pictures / "elsewhere" / "e.png")
    intake = user.examine(str(pictures), "images", 10)
    size = sum(Path(path).stat().st_size for path in user.load(str(pictures), "images"))
    assert intake == Intake(
        name=str(pictures),
        examples=5,
        classes=4,
        size=size,
        left_out={"hidden": 2, "beside the class folders": 1}
        | {"in deeper folders": 2, "of other types": 1},
        remarks=[],
    )
    assert intake.sentences == [
        f"Data '{pictures}': 5 examples of 4 classes, {size / 1000:.3g} kB. Left out: "
        "2 hidden, 1 beside the class folders, 1 of other types, 2 in deeper folders."
    ]


def test_a_data_set_of_keras_is_examined_without_a_download() -> None:
    assert user.examine("cifar10", "image_arrays", 10).sentences == [
        "Data 'cifar10 of Keras': 50,000 examples of 10 classes."
    ]


def test_images_without_class_folders(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    image(tmp_path / "b.png")
    message = (
        f"'{tmp_path}' has no folders in it. Its 2 files are of no class: put them "
        "into one folder for each class, or all into one folder. This workload takes "
        f"{IMAGES}."
    )
    refused(message, str(tmp_path), "images")


def saved(path: Path, frames: int = 1, **options: object) -> Path:
    """Write a picture of random colours, with the format of the path's ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 255, (frames, 6, 8, 3)).astype(np.uint8)
    first, *others = map(Image.fromarray, pixels)
    more = {"save_all": True, "append_images": others} if others else {}
    first.save(path, **more, **options)
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.bmp", "a.webp"])
def test_tensorflow_reads_the_formats_of_its_kinds(tmp_path: Path, name: str) -> None:
    """`decode_jpeg` reads JPEG, PNG and GIF, `decode_image` reads BMP and WEBP too."""
    path = saved(tmp_path / "cat" / name)
    content = path.read_bytes()
    decoded = tf.io.decode_image(content, channels=3, expand_animations=False)
    assert decoded.shape == (6, 8, 3)
    assert user.load(str(tmp_path), "any_images") == [str(path)]
    if name not in ("a.bmp", "a.webp"):
        assert tf.io.decode_jpeg(content, channels=3).shape == (6, 8, 3)
        assert user.load(str(tmp_path), "images") == [str(path)]
    else:
        message = (
            f"'{path.parent}' has no .jpg, .jpeg, .png, .gif files (but 1 "
            f"{path.suffix}). Put some there, or remove the folder."
        )
        refused(message, str(tmp_path), "images")
    features, _ = user.load(str(tmp_path), "image_arrays")
    assert np.abs(features[0].astype(int) - decoded.numpy()).max() <= 5


def test_a_format_that_its_ending_hides(pictures: Path) -> None:
    """Many files of the web are WEBP under the name of another format."""
    path = pictures / "dog" / "a.jpeg"
    saved(path, format="WEBP")
    message = (
        f"'{path}' is a WEBP image, which tf.io.decode_jpeg does not read. Convert or "
        "remove it, or leave such files out with --skip-damaged."
    )
    refused(message, str(pictures), "images")
    assert len(user.load(str(pictures), "any_images")) == 3


@pytest.mark.parametrize(
    ("name", "kind", "variant"),
    [
        (
            "a.gif",
            "images",
            "an animated GIF, of which tf.io.decode_jpeg reads no frame",
        ),
        (
            "a.webp",
            "any_images",
            "an animated WEBP, which TensorFlow does not read as 3 channels",
        ),
    ],
)
def test_animated_images(tmp_path: Path, name: str, kind: str, variant: str) -> None:
    """TensorFlow fails on these; as arrays their first frame counts."""
    path = saved(tmp_path / "cat" / name, frames=2)
    with pytest.raises(tf.errors.InvalidArgumentError):
        if kind == "images":
            tf.io.decode_jpeg(path.read_bytes(), channels=3)
        else:
            tf.io.decode_image(path.read_bytes(), 3, expand_animations=False)
    message = (
        f"'{path}' is {variant}. Convert or remove it, or leave such files out with "
        "--skip-damaged."
    )
    refused(message, str(tmp_path), kind)
    assert user.load(str(tmp_path), "image_arrays")[0].shape == (1, 6, 8, 3)
    assert user.examine(str(tmp_path), "image_arrays").remarks == [
        "1 image has several frames; the first is taken."
    ]


def test_a_bitmap_with_a_palette(tmp_path: Path) -> None:
    """TensorFlow would take the numbers of colours for grey."""
    path = tmp_path / "cat" / "a.bmp"
    path.parent.mkdir()
    Image.new("P", (8, 6)).save(path)
    message = (
        f"'{path}' is a BMP with a palette, which TensorFlow does not read. Convert or "
        "remove it, or leave such files out with --skip-damaged."
    )
    refused(message, str(tmp_path), "any_images")


def test_rotations_are_not_applied(pictures: Path) -> None:
    """TensorFlow ignores the EXIF tag, and Pillow does so too."""
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    turned = [pictures / "dog" / name for name in ("a.jpeg", "b.JPG")]
    for path in turned:
        saved(path, exif=exif)
    remark = (
        "2 images have an EXIF rotation, which is not applied: TensorFlow does not "
        "apply it either."
    )
    assert user.examine(str(pictures), "images").remarks == [remark]
    assert user.examine(str(pictures), "image_arrays").remarks == [remark]
    assert tf.io.decode_jpeg(turned[0].read_bytes()).shape == (6, 8, 3)
    assert user.load(str(pictures), "image_arrays")[0].shape == (3, 6, 8, 3)


def test_damaged_files_are_left_out_where_the_user_asks(pictures: Path) -> None:
    """They are counted by reason, and the first one is named."""
    damaged = text(pictures / "dog" / "a.jpeg", b"<html>")
    (pictures / "dog" / "link.jpg").symlink_to(pictures / "gone.jpg")
    data = source.skipping(str(pictures))
    rest = [str(pictures / name) for name in ("cat/c.png", "dog/b.JPG")]
    assert user.load(data, "images") == rest
    intake = user.examine(data, "images")
    assert intake.sentences[0].endswith(
        "Left out: 1 hidden, 1 of other types, 1 damaged, 1 unreadable."
    )
    assert intake.remarks == [
        f"The first of 2 files left out: '{damaged}' is not a complete JPEG, PNG or "
        "GIF image: cannot identify image file."
    ]


def test_a_class_without_a_whole_file(pictures: Path) -> None:
    """Leaving the class out would give other labels to the classes after it."""
    text(pictures / "cat" / "c.png", b"<html>")
    message = (
        f"All files of '{pictures / 'cat'}' are damaged. Put others there, or remove "
        "the folder."
    )
    refused(message, source.skipping(str(pictures)), "images")


def test_no_whole_file(tmp_path: Path) -> None:
    """A path may itself have a full stop and a space."""
    paths = [text(tmp_path / "no. 1" / f"{name}.txt", b" ") for name in "ab"]
    message = (
        f"All 2 files are damaged, the first: '{paths[0]}' has no words. Replace them."
    )
    refused(message, source.skipping(str(tmp_path)), "text")


def test_damaged_texts_and_sounds_are_left_out(tmp_path: Path) -> None:
    for name in ("no", "yes"):
        sound(tmp_path / "sounds" / name / "a.wav")
        text(tmp_path / "texts" / name / "a.txt", b"word")
    text(tmp_path / "sounds" / "no" / "b.wav", b"ID3\x03")
    text(tmp_path / "texts" / "no" / "b.txt", b"\xff")
    text(tmp_path / "texts" / "no" / "c.txt", b" ")
    assert len(user.load(source.skipping(str(tmp_path / "sounds")), "wav")) == 2
    features, labels = user.load(source.skipping(str(tmp_path / "texts")), "text")
    assert (features.tolist(), labels.tolist()) == ([b"word"] * 2, [0, 1])


def test_sounds_that_the_workload_changes(tmp_path: Path) -> None:
    """The first of two channels is used, and every sound is cut or filled to 1 s."""
    for name, frames in (("no", 100), ("yes", 16_000), ("up", 16_001)):
        sound(tmp_path / name / "a.wav", frames=frames)
    path = sound(tmp_path / "no" / "b.wav", frames=32_000, channels=2)
    assert user.examine(str(tmp_path), "wav").remarks == [
        "Sounds with several channels: 1. desired_channels=1 of tf.audio.decode_wav "
        "takes the first channel.",
        "Sounds longer than one second: 2; shorter: 1. desired_samples=16000 of "
        "tf.audio.decode_wav cuts the former and fills the latter with silence.",
    ]
    sound_, _ = tf.audio.decode_wav(path.read_bytes(), 1, 16_000)
    assert sound_.shape == (16_000, 1)


@pytest.mark.parametrize("load", [user.examine, user.load])
def test_a_folder_with_the_name_of_a_data_set(
    tmp_path: Path, monkeypatch, load
) -> None:
    """The message asks which of the two is meant."""
    monkeypatch.chdir(tmp_path)
    image(tmp_path / "cifar10" / "cat" / "a.png")
    image(tmp_path / "cifar10" / "dog" / "a.png")
    with pytest.raises(UsageError) as caught:
        load("cifar10", "image_arrays")
    assert str(caught.value) == (
        "'cifar10' is a data set of Keras and also a path here. Use ./cifar10 for "
        "the path, or rename the path to use the data set."
    )
    features, _ = user.load("./cifar10", "image_arrays")
    assert features.shape == (2, 6, 8, 3)


@pytest.mark.parametrize("accepts", ["image_arrays", "flat_images"])
def test_cifar10(monkeypatch, accepts: str) -> None:
    """Keras returns labels as a column; they become a row."""
    images = np.arange(2 * 32 * 32 * 3).reshape(2, 32, 32, 3).astype(np.uint8)
    train = images, np.array([[3], [9]], dtype=np.uint8)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: (train, train))
    features, labels = user.load("cifar10", accepts)
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
    features, labels = user.load("imdb", "text")
    assert features.tolist() == [b"the film", "film the très".encode()]
    assert labels.tolist() == [0, 1]


def test_without_a_network(monkeypatch) -> None:
    """The message contains the error of Keras and a remedy."""

    def fail() -> None:
        raise Exception("URL fetch failure: no route to host")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", fail)
    message = (
        "'cifar10' could not be loaded: URL fetch failure: no route to host. Keras "
        "downloads it once into ~/.keras/datasets. Without a network, copy that folder "
        "from elsewhere; if a file in it is damaged, remove the file and run again."
    )
    refused(message, "cifar10", "image_arrays")


def test_a_table_of_any_width_runs(tmp_path: Path) -> None:
    """The workload decodes the lines, builds its layer and passes its check."""
    path = text(tmp_path / "a.csv", b"x,label,y,z\n1,0,2,3\n2,1,5,6\n4,1,8,8\n")
    lines, labels = user.load(str(path), "csv")
    module = catalog.load(catalog.find("features_csv"))
    layer = module.build(lines)
    rows = tf.stack(
        [module.decode(*pair)[0] for pair in zip(lines, labels, strict=True)]
    )
    assert rows.numpy().tolist() == [[1, 2, 3], [2, 5, 6], [4, 8, 8]]
    module.check(rows.numpy(), layer(rows).numpy())


def test_images_of_any_one_size_run(pictures: Path) -> None:
    """The decoded shape is that of the files, not that of generated images."""
    paths = user.load(str(pictures), "images_of_one_size")
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
    texts, _ = user.load(str(tmp_path), "text")
    module = catalog.load(catalog.find(name))
    layer = module.build(texts)
    module.check(texts, layer(tf.constant(texts)).numpy())
