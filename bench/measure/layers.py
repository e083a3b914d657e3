"""This module applies layers to examples and batches, and compares their outputs."""

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.autograph.impl.api import autograph_artifact

from bench.data.components import mapped, named
from bench.errors import UsageError
from bench.measure.equality import STEPS

MIXING = (keras.layers.MixUp, keras.layers.CutMix)
DECIMALS = 4  # of a fingerprint
CALLS = 12  # with one batch: a layer that draws one of 5 repeats itself once in 5**11

# AutoGraph would rewrite the harness's own functions in every process, and would trace
# them more slowly. This mark makes them run as written and still lets AutoGraph convert
# the functions that they call; `do_not_convert` would also exclude a user's layers.
as_written = autograph_artifact


class WithLabels(keras.layers.Layer):
    """This layer applies layers to one dict of features and labels.

    Keras's own layers for images take such a dict.

    Features that are no dict have the key `images`; labels have the key `labels`.
    """

    def __init__(self, layers: Sequence[keras.Layer]) -> None:
        """Apply these layers in order."""
        super().__init__(autocast=False)
        self.inner = list(layers)

    def __reduce__(self) -> tuple:
        """Return how another process makes this layer from its layers."""
        return WithLabels, ([*self.inner],)

    def call(self, example: tuple, training: bool = True) -> tuple:
        """Return (features, labels) as the layers make them of (features, labels)."""
        features, labels = example
        single = not isinstance(features, Mapping)
        whole = {"images": features} if single else dict(features)
        output = apply_layers(
            self.inner, {**whole, "labels": labels}, training=training
        )
        wanted = {*whole, "labels"} if single else {"labels"}
        if not isinstance(output, Mapping) or not wanted <= set(output):
            names = ", ".join(named(output, "output"))
            raise UsageError(
                'With ON = "example" the layers get and must return a dict with the '
                f"keys {', '.join(sorted(wanted))}; they returned {names}."
            )
        rest = {key: part for key, part in output.items() if key != "labels"}
        return rest["images"] if single else rest, output["labels"]


def as_layers(built: object, *, with_labels: bool = False) -> list[keras.Layer]:
    """Return what `build` returned as a list of layers, to be applied in order.

    Args:
        with_labels: Whether the layers get (features, labels); see `WithLabels`.
        built: A layer (a `keras.Sequential`, a `keras.Model` and a
            `keras.layers.Pipeline` are layers), a `keras.utils.FeatureSpace`, a
            function of the features, or a list or tuple of these.

    Raises:
        UsageError: `build` returned something else.
    """
    parts = built if isinstance(built, (list, tuple)) else [built]
    layers = []
    for part in parts:
        # A Sequential that has met bare examples would refuse batches.
        plain = type(part) is keras.Sequential
        layers += part.layers if plain else [_as_layer(part, built)]
    return [WithLabels(layers)] if with_labels else layers


def demand_labels_mixed(layers: Sequence[keras.Layer], features: object) -> None:
    """Refuse layers that mix examples with their labels, and get no labels.

    Args:
        layers: Layers, applied in order.
        features: The features of examples that have labels.

    Raises:
        UsageError: A MixUp or CutMix layer would leave the labels as they are.
    """
    if isinstance(features, Mapping) or any(isinstance(x, WithLabels) for x in layers):
        return
    if mixing := mixing_layer(layers):
        raise UsageError(
            f"{mixing} mixes examples and their labels, but the "
            'labels do not reach it. Set ON = "example" in the file, so that the '
            "layers get {'images': features, 'labels': labels}."
        )


def mixing_layer(layers: Sequence[keras.Layer]) -> str:
    """Return the class of the first layer that mixes the examples of a batch, or "".

    Args:
        layers: Layers, applied in order; the layers inside them count as well.
    """
    parts = (part for layer in layers for part in layer._flatten_layers())
    mixing = (part for part in parts if isinstance(part, MIXING))
    return next((type(part).__name__ for part in mixing), "")


def _as_layer(part: object, built: object) -> keras.Layer:
    """Return one part as a layer; a function becomes a Lambda layer."""
    # A FeatureSpace is a layer, but one that no model can call.
    space = isinstance(part, keras.utils.FeatureSpace)
    if isinstance(part, keras.Layer) and not space:
        return part
    if callable(part) and not isinstance(part, type):
        layer = keras.layers.Lambda(_plain(part))
        layer.captured = _captured(part)  # so that Keras knows their state and traits
        return layer
    returned = f"an object of {type(part).__name__}"
    if part is None:
        returned = "None (is its `return` missing?)"
    elif isinstance(part, type):
        returned = f"the class {part.__name__} and no object of it"
    inside = "" if part is built else f" in a {type(built).__name__}"
    raise UsageError(
        f"build() returned {returned}{inside}. It may return a keras.Layer "
        "(keras.Sequential, keras.Model and keras.layers.Pipeline are layers), a "
        "keras.utils.FeatureSpace, a function of the features, or a list of these."
    )


def _captured(function: Callable) -> list[keras.Layer]:
    """Return the layers that a function uses from outside, in lists and dicts too."""
    if not inspect.isfunction(function):
        return _layers_in(function)
    outside = inspect.getclosurevars(function)
    values = [*outside.nonlocals.values(), *outside.globals.values()]
    return [part for value in values for part in _layers_in(value)]


def _layers_in(value: object) -> list[keras.Layer]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [layer for part in value for layer in _layers_in(part)]
    return [value] if isinstance(value, keras.Layer) else []


def _plain(function: Callable) -> Callable:
    """Return a callable as a function whose arguments Keras's Lambda can read."""
    try:
        inspect.getfullargspec(function)
    except TypeError:
        return lambda features: function(features)
    return function


@as_written
def apply_layers(
    layers: Sequence[Callable],
    features: object,
    *,
    ranks: Callable[[object], object] | None = None,
    training: bool = True,
) -> object:
    """Apply the layers in order.

    Args:
        layers: Keras layers.
        features: A bare example or a batch, a nest of tensors.
        ranks: Returns the rank of each component of the output for a bare example; None
            for batches. Some layers, such as Normalization, make a batch of one from a
            bare example. Its leading axis is dropped, or the two orders would give
            different shapes. The function is called only where a component could be
            such a batch, since it takes a trace.
        training: Whether to apply the layers as in training; random layers do nothing
            outside training.
    """
    example = features
    for layer in layers:
        _build_outside(layer, features, is_bare=ranks is not None)
        if ranks and isinstance(layer, keras.Model):  # takes nothing but batches
            features = tf.nest.map_structure(lambda part: part[None], features)
        features = _with_declared_axis(layer, features)
        settings = {}
        if getattr(layer, "_call_has_training_arg", False):
            settings["training"] = training
        try:
            features = layer(features, **settings)
        except (TypeError, ValueError, AttributeError) as error:
            if tf.nest.is_nested(features) and _is_of_keras(layer):
                raise _takes_no_nest(layer, features) from error
            raise
    features = _without_lists(features)
    parts = tf.nest.flatten(features)
    if ranks and any(part.shape.rank and part.shape[0] in (1, None) for part in parts):
        features = tf.nest.map_structure(_as_example, features, ranks(example))
    return features


def _build_outside(layer: Callable, features: object, *, is_bare: bool) -> None:
    """Build a layer that is not built yet, outside of the graph that calls it.

    Normalization with a given mean would otherwise keep a tensor of that graph, and
    fail in any other.
    """
    single = isinstance(features, tf.Tensor) and features.shape.rank is not None
    if single and isinstance(layer, keras.layers.Normalization) and not layer.built:
        shape = (None, *features.shape) if is_bare else features.shape
        with tf.init_scope():
            layer.build(tuple(shape))


def _with_declared_axis(layer: Callable, features: object) -> object:
    """Add the last axis that a model declares, `Input((1,))`, to symbolic columns.

    Keras itself adds the axis to tensors only. The shapes of a model that begins with
    such a model would lack it.
    """
    declared = named(getattr(layer, "_inputs_struct", ()), "")

    def ranked(path: str, part: object) -> object:
        shape = declared[path].shape if path in declared else ()
        lacks = len(shape) == len(part.shape) + 1 and shape[-1] == 1
        return keras.ops.expand_dims(part, -1) if lacks else part

    symbolic = any(map(keras.backend.is_keras_tensor, tf.nest.flatten(features)))
    return mapped(ranked, "", features) if declared and symbolic else features


def _is_of_keras(layer: Callable) -> bool:
    """Whether a layer is one of Keras's own and calls no code of the user."""
    ours = not isinstance(layer, (keras.Model, keras.layers.Lambda))
    return ours and type(layer).__module__.startswith("keras.")


def _takes_no_nest(layer: keras.Layer, features: object) -> UsageError:
    paths = ", ".join(named(features, "features"))
    first = next(iter(named(features, "features")))
    return UsageError(
        f"{type(layer).__name__} cannot take {paths} together. Let build() return a "
        f"function or a layer that applies it to one of them, such as lambda features: "
        f"layer({first})."
    )


def _without_lists(output: object) -> object:
    """Return an output with tuples in place of lists, which tf.data would stack."""
    if isinstance(output, Mapping):
        return {key: _without_lists(part) for key, part in output.items()}
    if isinstance(output, (list, tuple)):
        return tuple(map(_without_lists, output))
    return output


def _as_example(part: tf.Tensor, rank: int) -> tf.Tensor:
    """Return a component of one example without the axis of a batch of one."""
    return tf.squeeze(part, axis=0) if part.shape.rank == rank + 1 else part


def graph_function(
    layers: Sequence[Callable], *, training: bool = True, several_sizes: bool = False
) -> Callable:
    """Return a graph function that applies the layers to a batch, and nothing else.

    Eager calls would differ: Keras 3.15 then passes bytes to image layers unchanged.
    Resizing rounds, RandomBrightness wraps around, and RandomContrast refuses. In a
    graph, as in tf.data and in a model, the layers convert bytes to float32 first.
    """

    @as_written
    def call(batch: object) -> object:
        return apply_layers(layers, batch, training=training)

    return tf.function(call, reduce_retracing=several_sizes)


def supports_jit(layers: Sequence[keras.Layer]) -> bool:
    """Whether Keras declares that every layer, nested ones too, compiles with XLA."""
    return all(
        part.supports_jit for layer in layers for part in layer._flatten_layers()
    )


def to_numpy(nest: object) -> object:
    """Return a nest of NumPy arrays, dense even where tensors are ragged or sparse."""
    return tf.nest.map_structure(_array, nest)


def _array(value: tf.Tensor) -> np.ndarray:
    if isinstance(value, tf.RaggedTensor):
        return value.to_tensor().numpy()
    if isinstance(value, tf.SparseTensor):
        return tf.sparse.to_dense(value).numpy()
    return value.numpy()


def repeats(apply: Callable, batch: object) -> bool:
    """Whether `CALLS` calls with one batch give equal outputs."""
    first = to_numpy(apply(batch))
    return all(arrays_equal(first, to_numpy(apply(batch))) for _ in range(CALLS - 1))


def arrays_equal(one: object, other: object) -> bool:
    """Whether nests of arrays are equal; NaN is equal to NaN in the same place."""
    parts, others = named(one, ""), named(other, "")
    return parts.keys() == others.keys() and all(
        np.array_equal(part, others[path], equal_nan=_is_inexact(part, others[path]))
        for path, part in parts.items()
    )


def _is_inexact(*arrays: np.ndarray) -> bool:
    return all(np.issubdtype(array.dtype, np.inexact) for array in arrays)


def fingerprint(output: object) -> str:
    """Return 16 hexadecimal digits of an output.

    Floats are rounded to 4 decimals, and those of 16 bits to 2.
    """
    digests = {path: _digest(part) for path, part in named(output, "").items()}
    if len(digests) == 1:
        return next(iter(digests.values()))
    return hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()[:16]


def _digest(output: np.ndarray) -> str:
    kind = str(output.dtype)
    if kind in STEPS or np.issubdtype(output.dtype, np.floating):
        decimals = DECIMALS - 2 * (kind in STEPS)
        output = np.round(output.astype(np.float64), decimals) + 0.0  # no -0.0
        kind = kind if kind in STEPS else str(output.dtype)
    digest = hashlib.sha256(f"{output.shape}{kind}".encode())
    if output.dtype == object:  # texts, whose own bytes are addresses
        digest.update(repr(output.tolist()).encode())
    else:
        digest.update(np.ascontiguousarray(output))
    return digest.hexdigest()[:16]
