"""Makes mel spectrograms in decibels of one second of sound."""

import keras
import numpy as np

KIND = "audio"
EXAMPLES = 256
TOLERANCE = 1e-2
RATE = 16_000
FRAME = 400
STEP = 160
FFT = 512
MELS = 40
LOWEST = 20.0


def examples(rng: np.random.Generator, count: int) -> np.ndarray:
    """Tones with overtones and noise, 16 bits deep, float32 `[count, 16000]`."""
    time = np.arange(RATE, dtype=np.float32) / RATE
    pitch = rng.uniform(80, 1000, (count, 1)).astype(np.float32)
    waves = rng.normal(0, 0.02, (count, RATE)).astype(np.float32)
    for overtone in (1, 2, 5):
        waves += 0.3 / overtone * np.sin(2 * np.pi * overtone * pitch * time)
    return np.round(waves * 32767).astype(np.float32) / 32768


def build(examples: np.ndarray) -> keras.Layer:
    """The layer with 25 ms frames every 10 ms; float32 `[..., 40, 101]` out."""
    return keras.layers.MelSpectrogram(
        fft_length=FFT,
        sequence_stride=STEP,
        sequence_length=FRAME,
        sampling_rate=RATE,
        num_mel_bins=MELS,
        min_freq=LOWEST,
        # Keras cuts at this distance below the maximum of the whole batch, so at the
        # default of 80 the batch would decide what an example becomes.
        top_db=200.0,
    )


def check(batch: np.ndarray, output: np.ndarray) -> None:
    """NumPy's Fourier transform, weighted by triangles on the mel scale."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    padded = np.pad(batch, ((0, 0), (FFT // 2, FFT // 2)), mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT, axis=1)[:, ::STEP]
    margin = (FFT - FRAME) // 2
    power = np.square(np.abs(np.fft.rfft(frames * np.pad(window, margin))))
    expected = 10 * np.log10(np.maximum(power @ _triangles(), 1e-10))
    np.testing.assert_allclose(output, expected.swapaxes(1, 2), rtol=0, atol=0.05)


def _triangles() -> np.ndarray:
    """Weights of each frequency in each mel band, `[257, 40]`, peaks of 1."""
    mel = lambda hertz: 1127 * np.log1p(hertz / 700)  # noqa: E731
    edges = np.linspace(mel(LOWEST), mel(RATE / 2), MELS + 2)
    bins = mel(np.linspace(0, RATE / 2, FFT // 2 + 1))[:, np.newaxis]
    low, center, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / (center - low), (high - bins) / (high - center)
    return np.maximum(0, np.minimum(rising, falling))
