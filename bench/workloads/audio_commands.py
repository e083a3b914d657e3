"""One-second WAV files: read, decode, spectrogram, convolve."""

import wave
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

KIND = "audio"
EXAMPLES = 256
ACCEPTS = "wav"
CLASSES = 35
TOLERANCE = 1e-3
RATE = 16_000  # samples a second, and a file
FRAME, STEP, FOURIER = 400, 160, 512  # samples: 25 ms every 10 ms
SOUNDS = 8
FLOOR = 1e-7  # of power, below which the layer's logarithm is cut off


class Spectrogram(keras.Layer):
    """Sound `[n, samples]`, or one bare sound, to log magnitudes `[n, frames, bins]`.

    STFTSpectrogram itself takes nothing but `[n, samples, channels]`.
    """

    def __init__(self) -> None:
        """Frames of 25 ms, every 10 ms, of 257 frequencies."""
        super().__init__()
        self.transform = keras.layers.STFTSpectrogram(
            frame_length=FRAME, frame_step=STEP, fft_length=FOURIER
        )

    def build(self, shape: tuple) -> None:
        """Make the kernels outside of any map."""
        self.transform.build((None, shape[-1], 1))
        super().build(shape)

    def call(self, sound: object) -> object:
        """Bring the sound to rank 3 and transform it."""
        return self.transform(keras.ops.reshape(sound, (-1, sound.shape[-1], 1)))

    def compute_output_shape(self, shape: tuple) -> tuple:
        """As STFTSpectrogram has it."""
        return self.transform.compute_output_shape((*shape, 1))


def examples(rng: np.random.Generator, count: int, folder: str) -> None:
    """Mono 16-bit WAV files of 1 s at 16 kHz: four tones, four chirps, some noise."""
    time = np.arange(RATE) / RATE
    for number in range(count):
        sound = number % SOUNDS
        low = (200 + 300 * (sound % 4)) * rng.uniform(0.95, 1.05)
        high = 3 * low if sound >= 4 else low
        phase = 2 * np.pi * (low * time + (high - low) * time**2 / 2)
        loudness = rng.uniform(0.2, 0.6)
        wave_form = loudness * np.sin(phase) + rng.normal(0, 0.02, RATE)
        home = Path(folder) / f"{'chirp' if sound >= 4 else 'tone'}_{sound % 4}"
        home.mkdir(parents=True, exist_ok=True)
        _write(home / f"{number:06d}.wav", wave_form)


def build(examples: list[str]) -> keras.Layer:
    """The logarithm of the short-time Fourier transform's magnitude."""
    layer = Spectrogram()
    layer.build((None, RATE))
    return layer


def read(path: tf.Tensor, label: tf.Tensor) -> tf.data.Dataset:
    """The bytes of one file."""
    return tf.data.Dataset.from_tensors((tf.io.read_file(path), label))


def decode(record: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sound from -1 to 1, float32 `[16000]`; shorter files are filled with silence."""
    sound, _ = tf.audio.decode_wav(record, desired_channels=1, desired_samples=RATE)
    return tf.squeeze(sound, axis=-1), label


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """NumPy's Fourier transform of each frame under a Hann window of norm 1."""
    window = np.hanning(FRAME)
    frames = np.lib.stride_tricks.sliding_window_view(batch, FRAME, axis=-1)
    spectra = np.fft.rfft(frames[:, ::STEP] * window / np.linalg.norm(window), FOURIER)
    power = np.square(np.abs(spectra))
    assert output.shape == power.shape, f"{power.shape} expected, not {output.shape}"
    expected = np.sqrt(np.maximum(power, FLOOR))
    np.testing.assert_allclose(np.exp(output), expected, rtol=1e-2, atol=1e-3)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """A small convolutional network with room for the 35 words of Speech Commands."""
    x = keras.ops.expand_dims(features, -1)
    for filters in (8, 16, 32):
        x = keras.layers.Conv2D(filters, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.layers.Dense(CLASSES, activation="softmax")(x)


def _write(path: Path, sound: np.ndarray) -> None:
    samples = np.clip(np.round(sound * 32767), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
