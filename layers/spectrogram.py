"""Makes magnitude spectrograms of one second of sound by convolution."""

import keras
import numpy as np

KIND = "audio"
EXAMPLES = 256
TOLERANCE = 1e-2  # convolutions in TensorFloat-32, where a GPU has them
RATE = 16_000
FRAME = 256
STEP = 128


class Channel(keras.Layer):
    """Adds the channel axis, and the batch axis where there is none.

    `[16000]` or `[batch, 16000]` to `[batch, 16000, 1]`: STFTSpectrogram takes rank 3.
    """

    def call(self, inputs: object) -> object:
        """The waveforms with one channel."""
        return keras.ops.reshape(inputs, (-1, RATE, 1))


def examples(rng: np.random.Generator, count: int) -> np.ndarray:
    """Tones with overtones and noise, 16 bits deep, float32 `[count, 16000]`."""
    time = np.arange(RATE, dtype=np.float32) / RATE
    pitch = rng.uniform(80, 1000, (count, 1)).astype(np.float32)
    waves = rng.normal(0, 0.02, (count, RATE)).astype(np.float32)
    for overtone in (1, 2, 5):
        waves += 0.3 / overtone * np.sin(2 * np.pi * overtone * pitch * time)
    return np.round(waves * 32767).astype(np.float32) / 32768


def build(examples: np.ndarray) -> list[keras.Layer]:
    """The channel axis, then the layer; float32 `[..., 124, 129]` out.

    Magnitudes, because the default logarithm blows up rounding near silence.
    """
    layer = keras.layers.STFTSpectrogram(
        mode="magnitude", frame_length=FRAME, frame_step=STEP, trainable=False
    )
    layer.build((None, RATE, 1))
    return [Channel(), layer]


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """NumPy's Fourier transform of Hann-windowed frames, scaled to density."""
    window = np.hanning(FRAME)
    window /= np.sqrt(np.square(window).sum())
    frames = np.lib.stride_tricks.sliding_window_view(batch, FRAME, axis=1)[:, ::STEP]
    power = np.square(np.abs(np.fft.rfft(frames * window)))
    expected = np.sqrt(np.maximum(power, keras.backend.epsilon()))
    np.testing.assert_allclose(output, expected, rtol=5e-3, atol=5e-3)
