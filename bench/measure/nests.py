"""This module has functions for nests of tensors that `tf.nest` lacks."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from bench.data.components import Ragged, Sparse, mapped


def tensors(nest: object) -> object:
    """Return stored components in their usual types: arrays, ragged and sparse tensors.

    Args:
        nest: A nest of NumPy arrays, `Ragged` and `Sparse`; or None.
    """
    return mapped(_tensor, "", nest)


def rows(batch: object, indices: Sequence[int]) -> object:
    """Return these rows of a batch, which is a nest of tensors or arrays."""

    def chosen(part: tf.Tensor) -> tf.Tensor:
        if isinstance(part, tf.SparseTensor):
            return tf.sparse.from_dense(tf.gather(tf.sparse.to_dense(part), indices))
        return tf.gather(part, indices)

    return tf.nest.map_structure(chosen, batch)


def count(batch: object) -> int:
    """Return the number of rows of a batch."""
    part = tf.nest.flatten(batch)[0]
    if isinstance(part, tf.RaggedTensor):
        return int(part.nrows())
    return int(part.shape[0])


def specs(nest: object) -> object:
    """Return the shape and the type of each component of a nest of tensors."""
    return tf.nest.map_structure(tf.type_spec_from_value, nest)


def has_ragged(nest: object) -> bool:
    """Whether a component of tensors or of their specifications is ragged."""
    kinds = (tf.RaggedTensor, tf.RaggedTensorSpec)
    return any(isinstance(part, kinds) for part in tf.nest.flatten(nest))


def batch_specs(example: object, size: int) -> object:
    """Return the shapes and types of a batch of such examples."""
    return tf.nest.map_structure(lambda spec: spec._batch(size), specs(example))


def keras_inputs(batch: object) -> object:
    """Return Keras inputs for batches like this one; keys of a dict are their names."""

    def keras_input(path: str, part: tf.Tensor) -> keras.KerasTensor:
        kinds = {
            "sparse": isinstance(part, tf.SparseTensor),
            "ragged": isinstance(part, tf.RaggedTensor),
        }
        key = path[2:-2]  # of a dict's own component, such as ['age']
        return keras.Input(
            part.shape[1:],
            dtype=part.dtype.name,
            name=key if path.startswith("['") and key.isidentifier() else None,
            **{kind: True for kind, applies in kinds.items() if applies},
        )

    return mapped(keras_input, "", batch)


def _tensor(_: str, component: object) -> object:
    if isinstance(component, Ragged):
        return tf.RaggedTensor.from_nested_row_splits(
            component.values, component.splits
        )
    if isinstance(component, Sparse):
        return tf.SparseTensor(
            component.indices, component.values, component.dense_shape
        )
    return component
