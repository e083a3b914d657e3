"""Spectrograms of short sounds, as a tutorial on keywords in speech makes them."""

from pathlib import Path

import tensorflow as tf

CLASSES = ["high", "low"]


def load(path):
    """The samples of one WAV file, and the number of its folder."""
    samples, _ = tf.audio.decode_wav(tf.io.read_file(path), 1)
    label = tf.argmax(tf.strings.split(path, "/")[-2] == tf.constant(CLASSES))
    return tf.squeeze(samples, axis=-1), label


def spectrogram(samples, label):
    """The strength of each frequency over time, with a last axis of one channel."""
    waves = tf.signal.stft(samples, frame_length=255, frame_step=128)
    return tf.abs(waves)[..., tf.newaxis], label


def train_dataset(folder="data", batch_size=16):
    """Batches of spectrograms and labels."""
    files = sorted(str(path) for path in Path(folder).glob("sounds/*/*.wav"))
    files_ds = tf.data.Dataset.from_tensor_slices(files)
    waveform_ds = files_ds.map(load)
    spectrogram_ds = waveform_ds.map(spectrogram)
    return spectrogram_ds.batch(batch_size)


def best_practice(folder="data", batch_size=16):
    """Parallel maps, and spectrograms that are kept after the first epoch."""
    files = sorted(str(path) for path in Path(folder).glob("sounds/*/*.wav"))
    files_ds = tf.data.Dataset.from_tensor_slices(files)
    waveform_ds = files_ds.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    spectrogram_ds = waveform_ds.map(spectrogram, num_parallel_calls=tf.data.AUTOTUNE)
    return spectrogram_ds.batch(batch_size).cache().prefetch(tf.data.AUTOTUNE)
