"""This module finds the lines of code that traced a node of a graph."""

import gc

from tensorflow.python.framework.func_graph import FuncGraph

from bench.cause import Frame, user_frames


def frames(op: str) -> list[Frame]:
    """Return the lines of code that created a node, as stack frames, innermost last.

    TensorFlow reports a failing node of a dataset's function by its name alone. The
    graph of the node knows the lines of code, and lives as long as its dataset.

    Args:
        op: The node's name as TensorFlow reports it. Scopes of inlined functions may
            stand before the name; they are dropped one by one until a node is found.

    Returns:
        The frames of the newest node of that name, in any graph of this process, that
        has a line of the user's code among its frames; empty if there is none.
    """
    graphs = [item for item in gc.get_objects() if isinstance(item, FuncGraph)]
    parts = op.split("/")
    for name in ("/".join(parts[start:]) for start in range(len(parts))):
        for graph in reversed(graphs):
            stack = _frames(graph, name)
            if user_frames(stack):
                return stack
    return []


def _frames(graph: FuncGraph, name: str) -> list[Frame]:
    try:
        node = graph.get_operation_by_name(name)
    except KeyError:
        return []
    return [Frame(line.filename, line.lineno, line.name) for line in node.traceback]
