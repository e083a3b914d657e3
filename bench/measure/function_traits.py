"""What a dataset's own function does: does it draw, keep state, or call Python?

The function's graph shows it, with all functions that it calls.
"""

from __future__ import annotations

import tensorflow as tf

FUNCTIONS = ("_map_func", "_predicate", "_reduce_func", "_key_func", "_scan_func")
RANDOM = ("Random", "Rng", "Multinomial", "TruncatedNormal", "SampleDistorted")
STATEFUL = ("Assign", "StatefulUniform", "QueueEnqueue", "TensorArrayWriteV1")
PYTHON = ("PyFunc", "EagerPyFunc", "PyFuncStateless")
READS = ("ReadFile", "TFRecordDataset", "TextLineDataset", "FixedLengthRecordDataset")


def dataset_traits(dataset: tf.data.Dataset) -> list[str]:
    """Return the traits of a dataset's own functions, not of those before it.

    Returns:
        Any of `python` (it calls back into Python, where nobody can see what it does),
        `random` (an operation draws), `stateful` (it writes a variable, as Keras's seed
        generators do) and `reads` (it reads files).
    """
    operations: set[str] = set()
    for name in FUNCTIONS:
        function = getattr(getattr(dataset, name, None), "function", None)
        if function is not None:
            operations |= _operations(function.graph.as_graph_def())
    rules = {
        "python": PYTHON,
        "random": RANDOM,
        "stateful": STATEFUL,
        "reads": READS,
    }
    return [
        trait
        for trait, words in rules.items()
        if any(word in operation for word in words for operation in operations)
    ]


def _operations(graph: object) -> set[str]:
    """The operations of a graph and of the functions in its library."""
    nodes = list(graph.node)
    for function in graph.library.function:
        nodes += function.node_def
    return {node.op for node in nodes}
