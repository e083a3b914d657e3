"""Bringing two classes to equal shares, the four ways that are in use."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

TARGET = [0.5, 0.5]
BLOCK = 16  # records counted at a time: counting each one takes most of a minute
Resampler = Callable[[tf.data.Dataset], tf.data.Dataset]


def resampler(how: str, labels: np.ndarray | None) -> Resampler | None:
    """Finite dataset of (features, label) to an endless one of equal class shares.

    Args:
        how: A value of the `resample` axis.
        labels: All labels, for the shares that `rejection_known` is given.
    """
    if how == "none":
        return None
    if how in ("rejection", "rejection_known"):
        known = np.bincount(labels, minlength=2) / len(labels)
        initial = known.tolist() if how == "rejection_known" else None
        return lambda dataset: _rejection(dataset.repeat(), initial)
    if how == "filter":  # each class reads the whole source, and drops the rest
        return lambda dataset: _mixed(
            *(_only(dataset.repeat(), label) for label in (0, 1))
        )
    # split: the rare class is found once, and then kept
    rare = int(np.bincount(labels, minlength=2).argmin())
    return lambda dataset: _mixed(
        _only(dataset.repeat(), 1 - rare), _only(dataset, rare).cache().repeat()
    )


def shares(
    how: str, labels: np.ndarray, examples: int = 1024, limit: int = 2_000_000
) -> dict[str, float | str]:
    """What a resampled stream is made of, counted on labels and positions alone.

    Args:
        how: A value of the `resample` axis.
        labels: All labels, `[count]`.
        examples: How many to take.
        limit: Records that may be read for them.

    Returns:
        The positive share reached with its standard error, unique positives among the
        examples, records read for each example given, passes over the source, and how
        many iterators read it side by side: those that were opened before any of them
        can have come to its end. Records are counted by blocks of 16.
    """
    read, opened = (tf.Variable(0, dtype=tf.int64) for _ in range(2))
    records = (np.arange(len(labels)), labels.astype(np.int64))

    def open_(_: tf.Tensor) -> tf.data.Dataset:
        opened.assign_add(1)
        return tf.data.Dataset.from_tensor_slices(records).batch(BLOCK)

    def count(position: tf.Tensor, label: tf.Tensor) -> tuple:
        read.assign_add(tf.size(label, tf.int64))
        return position, label

    source = tf.data.Dataset.from_tensors(0).flat_map(open_).map(count).unbatch()
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    resample = resampler(how, labels)
    stream = (resample(source) if resample else source).with_options(options)
    positions, seen, iterators = [], [], 0
    for position, label in stream.take(examples).as_numpy_iterator():
        positions.append(position)
        seen.append(label)
        iterators = int(opened) if int(read) < len(labels) else max(iterators, 1)
        if int(read) > limit:
            break
    given, positive = len(seen), np.array(seen) == 1
    share = float(positive.mean())
    return {
        "positive_share": share,
        "positive_share_error": float(np.sqrt(share * (1 - share) / given)),
        "unique_positives": len(set(np.array(positions)[positive].tolist())),
        "records_read_per_example": int(read) / given,
        "source_passes": int(read) / len(labels),
        "source_iterators": iterators,
        "examples_counted": given,
    }


def _rejection(
    dataset: tf.data.Dataset, initial: list[float] | None
) -> tf.data.Dataset:
    resampled = dataset.rejection_resample(
        class_func=lambda _, label: tf.cast(label, tf.int32),
        target_dist=TARGET,
        initial_dist=initial,
        seed=7,
    )
    return resampled.map(lambda _, example: example)  # it adds the class in front


def _mixed(*streams: tf.data.Dataset) -> tf.data.Dataset:
    return tf.data.Dataset.sample_from_datasets(list(streams), TARGET, seed=7)


def _only(dataset: tf.data.Dataset, label: int) -> tf.data.Dataset:
    return dataset.filter(lambda _, given: tf.equal(given, label))
