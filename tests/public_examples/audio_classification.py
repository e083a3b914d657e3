"""Simple audio recognition: WAV files to spectrograms, whose network normalizes."""

import keras
import numpy as np
import tensorflow as tf

KIND = "audio"
EXAMPLES = 128
TOLERANCE = 1e-3
RATE = 16_000
NORM = keras.layers.Normalization()  # of the network; `build` adapts it


def examples(rng, count, folder):
    """Write a second or less of a tone as WAV files into a folder for each word."""
    for number in range(count):
        word = ("down", "go", "left", "no")[number % 4]
        time = np.arange(int(rng.integers(RATE // 2, RATE))) / RATE
        tone = 0.5 * np.sin(2 * np.pi * 300 * (1 + number % 4) * time)
        wav = tf.audio.encode_wav(tone[:, None].astype("float32"), RATE)
        tf.io.write_file(str(folder / word / f"{number}.wav"), wav)


def read(path, label):
    """Return the bytes of one file."""
    return tf.data.Dataset.from_tensors((tf.io.read_file(path), label))


def decode(record, label):
    """Return one second of sound `[16000]`, filled up with silence."""
    sound, _ = tf.audio.decode_wav(record, desired_channels=1, desired_samples=RATE)
    return tf.squeeze(sound, axis=-1), label


def get_spectrogram(sound):
    """Return magnitudes by frame and frequency, with one channel as of an image."""
    return tf.abs(tf.signal.stft(sound, frame_length=255, frame_step=128))[..., None]


def build(examples):
    """Return the spectrogram, after the network's norm has seen that of all files."""
    files = tf.data.Dataset.from_tensor_slices(examples)
    sounds = files.map(lambda path: decode(tf.io.read_file(path), 0)[0])
    NORM.adapt(sounds.batch(32).map(get_spectrogram))
    return get_spectrogram


def check(batch, output):
    """The strongest frequency of the first frame is that of NumPy's transform."""
    assert output.shape == (len(batch), 124, 129, 1), output.shape
    frame = batch[:, :255] * np.hanning(256)[:255]
    np.testing.assert_allclose(output[:, 0, :, 0], abs(np.fft.rfft(frame, 256)), atol=1)


def model(features):
    """Return class probabilities of the resized and normalized spectrogram."""
    x = NORM(keras.layers.Resizing(32, 32)(features))
    x = keras.layers.MaxPooling2D()(keras.layers.Conv2D(16, 3, activation="relu")(x))
    return keras.layers.Dense(4, activation="softmax")(keras.layers.Flatten()(x))
