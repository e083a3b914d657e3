"""A table of 30 named columns, numbers with gaps, text, whole numbers: a layer each."""

import keras
import numpy as np
import tensorflow as tf

from bench.workloads import _table

KIND = "structured"
EXAMPLES = 4096
ACCEPTS = "table"
CLASSES = 2
LOSS = "binary_crossentropy"
TOLERANCE = 1e-4
VARIANTS = {"feature_space": {"form": "feature_space"}}

_adapted: dict[str, dict] = {}  # what `check` compares with


class LayerAColumn(keras.Layer):
    """A layer applies each column's own layer: columns `[...]`, float32 `[..., n]`."""

    def __init__(self, parts: dict[str, keras.Layer]) -> None:
        """Take the adapted layers by the name of their column."""
        super().__init__()
        self.parts = parts
        self.widths = {name: _width(layer) for name, layer in parts.items()}

    def call(self, columns: dict) -> object:
        """Return the encoded columns side by side, sorted by name."""
        encoded = [self._encoded(name, columns[name]) for name in sorted(columns)]
        return keras.ops.concatenate(encoded, axis=-1)

    def _encoded(self, name: str, column: object) -> object:
        if name not in self.parts:
            return column[..., None]
        # Some layers make a batch of one from a bare example.
        shape = (*keras.ops.shape(column), self.widths[name])
        return keras.ops.reshape(self.parts[name](column[..., None]), shape)


def examples(
    rng: np.random.Generator, count: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return columns `[count]`: float32, text, int64; and labels, int64, of 0 and 1."""
    columns = _table.columns(rng, count)
    score = np.nan_to_num(columns["number_00"]) + columns["whole_0"] - 1
    return columns, (score + rng.normal(0, 1, count) > 0).astype(np.int64)


def build(examples: dict[str, np.ndarray], form: str = "layers") -> list:
    """Return what fills gaps, and a layer a column or the same by FeatureSpace."""
    means = _table.means(examples)
    known = _table.filled(examples, means)
    _adapted.update(means=means, known=known)

    def filled(columns: dict) -> dict:
        complete = dict(columns)
        for name, mean in means.items():
            gaps = keras.ops.isnan(columns[name])
            complete[name] = keras.ops.where(gaps, mean, columns[name])
            complete[name + _table.GAPS] = keras.ops.cast(gaps, "float32")
        return complete

    return [filled, _layers(known) if form == "layers" else _feature_space(known)]


def check(
    batch: dict[str, np.ndarray], output: np.ndarray, form: str = "layers"
) -> None:
    """Compare with the formulas, in NumPy; both forms must give the same."""
    expected = _table.encoded(
        _adapted["known"], _table.filled(batch, _adapted["means"])
    )
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)


def model(features: keras.KerasTensor) -> keras.KerasTensor:
    """Return one sigmoid behind a hidden layer."""
    x = keras.layers.Dense(32, activation="relu")(features)
    return keras.layers.Dense(1, activation="sigmoid")(x)


def _width(layer: keras.Layer) -> int:
    numbers = isinstance(layer, keras.layers.Normalization)
    return 1 if numbers else int(layer.vocabulary_size())


def _layers(known: dict[str, np.ndarray]) -> keras.Layer:
    """Return a layer a column, adapted to a table without gaps."""
    lookups = {"i": keras.layers.IntegerLookup}
    parts: dict[str, keras.Layer] = {}
    for name, values in known.items():
        if name.endswith(_table.GAPS):
            continue
        if values.dtype.kind == "f":
            parts[name] = keras.layers.Normalization()
        else:
            lookup = lookups.get(values.dtype.kind, keras.layers.StringLookup)
            parts[name] = lookup(_table.TOKENS, output_mode="one_hot")
        parts[name].adapt(values[:, None])
    return LayerAColumn(parts)


def _feature_space(known: dict[str, np.ndarray]) -> keras.utils.FeatureSpace:
    """Return a FeatureSpace of the same columns, adapted to a table without gaps."""
    kinds = keras.utils.FeatureSpace
    features: dict[str, object] = {}
    for name, values in known.items():
        if name.endswith(_table.GAPS):
            features[name] = kinds.float()
        elif values.dtype.kind == "f":
            features[name] = kinds.float_normalized()
        elif values.dtype.kind == "i":
            features[name] = kinds.integer_categorical(_table.TOKENS)
        else:
            features[name] = kinds.string_categorical(_table.TOKENS)
    space = kinds(features)
    space.adapt(tf.data.Dataset.from_tensor_slices(known).batch(1024))
    return space
