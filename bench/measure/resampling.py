"""This module resamples two classes to equal shares, in the four usual ways."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bench.errors import UsageError

TARGET = [0.5, 0.5]
MOST_VALUES = 5  # of wrong labels that an error message lists
MOST_CHARACTERS = 40  # of each such value
GROUP = 1024  # labels that are read at a time
BLOCK = 16  # records counted at a time: counting each record takes most of a minute
Resampler = Callable[[tf.data.Dataset], tf.data.Dataset]


def resampler(how: str, labels: np.ndarray | None) -> Resampler | None:
    """Return a function from a finite dataset to an endless one with equal shares.

    Args:
        how: A value of the `resample` axis.
        labels: All labels, 0 and 1. `rejection_known` needs their shares, and `split`
            the rare class.

    Returns:
        A function of a dataset of (features, label); None where nothing is resampled.
    """
    if how == "none":
        return None
    labels = labels.astype(np.int64)
    if how in ("rejection", "rejection_known"):
        class_shares = np.bincount(labels, minlength=2) / len(labels)
        initial = class_shares.tolist() if how == "rejection_known" else None
        return lambda dataset: _rejection(dataset.repeat(), initial)
    if how == "filter":  # each class reads the whole source, and drops the rest
        return lambda dataset: _mixed(
            *(_only(dataset.repeat(), label) for label in (0, 1))
        )
    # split: the rare class is searched once and then cached
    rare = int(np.bincount(labels, minlength=2).argmin())
    return lambda dataset: _mixed(
        _only(dataset.repeat(), 1 - rare), _only(dataset, rare).cache().repeat()
    )


def label_fault(labels: np.ndarray | None) -> str:
    """Return a description of labels that are not 0 and 1; empty if they are.

    Args:
        labels: All labels as the resampler gets them; None where there are none.

    Returns:
        A clause with type, shape, values and counts, such as `These are int64 [1024]: 0
        (1024 times)`.
    """
    if labels is None:
        return "There are no labels"
    if not isinstance(labels, np.ndarray):
        return f"These are a {type(labels).__name__}"
    whole = labels.dtype.kind in "iub" and labels.ndim == 1
    values, counts = np.unique(
        labels.reshape(len(labels), -1), axis=0, return_counts=True
    )
    if whole and values.ravel().tolist() == [0, 1]:
        return ""
    quoted = [
        f"{_quoted(value, labels.ndim)} ({count} time{'s' if count > 1 else ''})"
        for value, count in zip(values[:MOST_VALUES], counts, strict=False)
    ]
    more = len(values) - len(quoted)
    quoted += [f"{more} more value{'s' if more > 1 else ''}"] if more else []
    kind = "text" if labels.dtype.kind in "US" else labels.dtype.name
    return f"These are {kind} {list(labels.shape)}: {', '.join(quoted)}"


def demand_two_classes(how: str, labels: np.ndarray | None, remedy: str) -> None:
    """Refuse to resample labels that are not 0 and 1.

    Args:
        how: A value of the `resample` axis.
        labels: All labels as the resampler gets them; None where there are none.
        remedy: A sentence about the function that returns these labels.

    Raises:
        UsageError: There are other labels; the message lists values and counts.
    """
    if how != "none" and (fault := label_fault(labels)):
        raise UsageError(
            f"resample={how} needs labels that are 0 and 1, as whole numbers or bool, "
            f"both present, one for each example: shape [count]. {fault}. {remedy}"
        )


def labels_of(records: tf.data.Dataset) -> np.ndarray | None:
    """Return the labels of all records, from one pass over them.

    Args:
        records: A finite dataset of `(features, label, ...)` or of features alone.

    Returns:
        `[count, ...]`, or None where the records have no label.

    Raises:
        UsageError: A label is not a tensor, or the labels have several shapes.
    """
    spec = records.element_spec
    if not (isinstance(spec, tuple) and len(spec) > 1):
        return None
    labels = []
    if isinstance(spec[1], tf.TensorSpec):
        alone = records.map(lambda *record: record[1])
        if spec[1].shape.is_fully_defined():  # a call of Python for each takes minutes
            groups = alone.batch(GROUP).as_numpy_iterator()
            return np.concatenate(list(groups))
        labels = list(alone.as_numpy_iterator())
    shapes = sorted({np.shape(label) for label in labels})
    if len(shapes) != 1:
        kind = type(spec[1]).__name__.removesuffix("Spec")
        several = f"shapes {shapes[0]}, {shapes[1]}" if shapes else f"type {kind}"
        raise UsageError(
            f"resample needs one number, 0 or 1, as the label of each example; the "
            f"labels here have the {several}. Leave resample out for them."
        )
    return np.array(labels)


def stream_facts(
    how: str, labels: np.ndarray, examples: int = 1024, limit: int = 2_000_000
) -> dict[str, float | str]:
    """Return facts on the content of a resampled stream of labels and positions.

    Args:
        how: A value of the `resample` axis.
        labels: All labels, `[count]`.
        examples: How many examples to take.
        limit: How many records may be read for them.

    Returns:
        The positive share with its standard error, the unique positives among the
        examples, the records read for each example, and the passes over the source.
        `source_iterators` is the number of iterators that read the source side by side:
        those opened before any of them can have reached its end. Records are counted
        in blocks of 16.
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
    positions, taken, iterators = [], [], 0
    for position, label in stream.take(examples).as_numpy_iterator():
        positions.append(position)
        taken.append(label)
        iterators = int(opened) if int(read) < len(labels) else max(iterators, 1)
        if int(read) > limit:
            break
    count_taken, positive = len(taken), np.array(taken) == 1
    share = float(positive.mean())
    return {
        "positive_share": share,
        "positive_share_error": float(np.sqrt(share * (1 - share) / count_taken)),
        "unique_positives": len(set(np.array(positions)[positive].tolist())),
        "records_read_per_example": int(read) / count_taken,
        "source_passes": int(read) / len(labels),
        "source_iterators": iterators,
        "examples_counted": count_taken,
    }


def _rejection(
    dataset: tf.data.Dataset, initial: list[float] | None
) -> tf.data.Dataset:
    resampled = dataset.rejection_resample(
        class_func=lambda *record: tf.cast(record[1], tf.int32),
        target_dist=TARGET,
        initial_dist=initial,
        seed=7,
    )
    # The resampling adds the class in front of each example.
    return resampled.map(lambda _, example: example)


def _mixed(*streams: tf.data.Dataset) -> tf.data.Dataset:
    return tf.data.Dataset.sample_from_datasets(list(streams), TARGET, seed=7)


def _only(dataset: tf.data.Dataset, label: int) -> tf.data.Dataset:
    return dataset.filter(lambda *record: tf.equal(tf.cast(record[1], tf.int64), label))


def _quoted(value: np.ndarray, rank: int) -> str:
    """Return a label as an error message shows it; long texts are cut."""
    parts = [
        part.decode(errors="replace") if isinstance(part, bytes) else part
        for part in value.tolist()
    ]
    text = repr(parts if rank > 1 else parts[0])
    cut = len(text) > MOST_CHARACTERS
    return f"{text[:MOST_CHARACTERS]}..." if cut else text
