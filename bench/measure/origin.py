"""Where a node of a graph was made: the lines that traced it."""

import gc

from tensorflow.python.framework.func_graph import FuncGraph

from bench.cause import Frame, user_frames


def frames(op: str) -> list[Frame]:
    """The places that made a node of any graph of this process, the innermost last.

    TensorFlow reports a failing node of a dataset's function by its name alone. The
    graph that holds the node knows the lines, and lives as long as its dataset.

    Args:
        op: The node's name, with the scopes of functions that were inlined before it.

    Returns:
        The places of the newest node of that name that a user's line made; none if
        there is no such node.
    """
    graphs = [each for each in gc.get_objects() if isinstance(each, FuncGraph)]
    parts = op.split("/")
    for name in ("/".join(parts[start:]) for start in range(len(parts))):
        for graph in reversed(graphs):
            found = _frames(graph, name)
            if user_frames(found):
                return found
    return []


def _frames(graph: FuncGraph, name: str) -> list[Frame]:
    try:
        node = graph.get_operation_by_name(name)
    except KeyError:
        return []
    return [Frame(line.filename, line.lineno, line.name) for line in node.traceback]
