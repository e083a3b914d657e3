"""The user's own error is found within the texts of TensorFlow and Keras."""

import importlib.util
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import cause
from bench.cause import Frame
from bench.shell import ROOT

HARNESS = f'{ROOT}/bench/pipeline.py", line 211, in None  *'
KERAS = "/venv/lib/python3.11/site-packages/keras/src/utils/traceback_utils.py"
AUTOGRAPH = f'''in user code:

    File "{HARNESS}
        lambda *record: preprocessed(decode(*record))
    File "/home/me/mine.py", line 14, in decode  *
        return beside.scaled(x)
    File "/home/me/beside.py", line 3, in scaled  *
        return x * y

    NameError: name 'y' is not defined
'''
NESTED = f'''in user code:

    File "{HARNESS}
        lambda *record: preprocessed(decode(*record))
    File "/home/me/mine.py", line 14, in decode  *
        return LAYER(x)
    File "{KERAS}", line 122, in error_handler  **
        raise e.with_traceback(filtered_tb) from None
    File "/tmp/__autograph_generated_filey9k_5hmx.py", line 31, in tf__call
        raise

    ValueError: Exception encountered when calling Inner.call().
    
    \x1b[1min user code:
    
        File "/home/me/mine.py", line 8, in call  *
            return tf.reshape(x, [7, 7])
    
        ValueError: Cannot reshape a tensor with 8 elements to shape [7,7] (49 elements) for '{{{{node Reshape}}}} = Reshape[T=DT_FLOAT, Tshape=DT_INT32](cond/Identity, Reshape/shape)' with input shapes: [8], [2].
    \x1b[0m
    
    Arguments received by Inner.call():
      • x=tf.Tensor(shape=(8,), dtype=float32)
'''  # noqa: E501, W293  as Keras writes it
OF_KERAS = """Exception encountered when calling Dense.call().

\x1b[1mbad weather\x1b[0m

Arguments received by Dense.call():
  • inputs=tf.Tensor(shape=(8,), dtype=float32)"""
ITERATOR = (
    "{{function_node __wrapped__IteratorGetNext_output_types_2_device_/job:localhost/"
    "replica:0/task:0/device:CPU:0}} Error in user-defined function passed to "
    "ParallelMapDatasetV2:14 transformation with iterator: Iterator::Root::BatchV2::"
    "ParallelMapV2: "
)
OF_AN_OP = f"""{ITERATOR}Input arr must be non-negative!
\t [[{{{{node category_encoding_1/bincount/DenseBincount}}}}]] [Op:IteratorGetNext] name: """  # noqa: E501
OF_PYTHON = f"""{ITERATOR}KeyError: 'no picture 7'
Traceback (most recent call last):

  File "/venv/lib/python3.11/site-packages/tensorflow/python/ops/script_ops.py", line 267, in __call__
    return func(device, token, args)
           ^^^^^^^^^^^^^^^^^^^^^^^^^

  File "/home/me/mine.py", line 13, in _load
    raise KeyError("no picture 7")

KeyError: 'no picture 7'


\t [[{{{{node EagerPyFunc}}}}]] [Op:IteratorGetNext] name: """  # noqa: E501
OF_A_GRAPH = f"""Graph execution error:

Detected at node functional_1/picky_1/CheckNumerics defined at (most recent call last):
  File "{ROOT}/bench/worker.py", line 197, in _measure

  File "{KERAS}", line 117, in error_handler

  File "/home/me/mine.py", line 12, in call

bad numbers : Tensor had Inf values
\t [[{{{{node functional_1/picky_1/CheckNumerics}}}}]] [Op:__inference_step_1169]"""
OF_THE_LOSS = f"""Graph execution error:

Detected at node compile_loss/mse/Cast defined at (most recent call last):
<stack traces unavailable>
Detected at node compile_loss/mse/Cast defined at (most recent call last):
  File "{KERAS}", line 117, in error_handler

2 root error(s) found.
  (0) UNIMPLEMENTED:  Cast string to float is not supported
\t [[{{{{node compile_loss/mse/Cast}}}}]]
  (1) CANCELLED:  Function was cancelled before it was started
0 successful operations. [Op:__inference_step_579]"""
OF_A_TRACEBACK = """in user code:

    File "/home/me/mine.py", line 9, in decode  *
        raise RuntimeError(traceback.format_exc())

    RuntimeError: Traceback (most recent call last):
      File "/tmp/__autograph_generated_fileaiymn662.py", line 11, in tf__decode
        {}['missing']
        ~~^^^^^^^^^^^
    KeyError: 'missing'
    
"""  # noqa: W293
STORED = AUTOGRAPH.replace(
    ":\n", ": (__autograph_generated_filemzb1ffg2.py, line 12, in tf__decode)\n", 1
)
RESHAPE = (
    "Cannot reshape a tensor with 8 elements to shape [7,7] (49 elements) with input "
    "shapes: [8], [2]."
)


@pytest.mark.parametrize(
    ("type_", "text", "innermost", "line"),
    [
        (
            "NameError",
            AUTOGRAPH,
            "NameError",
            "name 'y' is not defined (beside.py, line 3, in scaled, called at mine.py, "
            "line 14, in decode)",
        ),
        (
            "NameError",
            STORED,
            "NameError",
            "name 'y' is not defined (beside.py, line 3, in scaled, called at mine.py, "
            "line 14, in decode)",
        ),
        (
            "StagingError",
            AUTOGRAPH.replace("NameError", "mine.Bad"),
            "Bad",
            "name 'y' is not defined (beside.py, line 3, in scaled, called at mine.py, "
            "line 14, in decode)",
        ),
        ("ValueError", NESTED, "ValueError", f"{RESHAPE} (mine.py, line 8, in call)"),
        ("ValueError", OF_KERAS, "ValueError", "bad weather (layer Dense)"),
        (
            "InvalidArgumentError",
            OF_AN_OP,
            "InvalidArgumentError",
            "Input arr must be non-negative! (op DenseBincount, in map)",
        ),
        (
            "UnknownError",
            OF_PYTHON,
            "KeyError",
            "'no picture 7' (mine.py, line 13, in _load)",
        ),
        (
            "InvalidArgumentError",
            OF_A_GRAPH,
            "InvalidArgumentError",
            "bad numbers : Tensor had Inf values (mine.py, line 12, in call)",
        ),
        (
            "UnimplementedError",
            OF_THE_LOSS,
            "UnimplementedError",
            "Cast string to float is not supported (the loss, op Cast)",
        ),
        (
            "RuntimeError",
            OF_A_TRACEBACK,
            "KeyError",
            "'missing' (mine.py, line 9, in decode)",
        ),
        ("KeyError", "'b'", "KeyError", "'b'"),
        (
            "OSError",
            "Cannot load:\n  no such file",
            "OSError",
            "Cannot load: no such file",
        ),
    ],
)
def test_the_first_line_has_the_innermost_message_and_the_place(
    type_: str, text: str, innermost: str, line: str
) -> None:
    """The wrappers and their order do not matter."""
    result = cause.from_text(type_, text)
    summary = cause.sentence(result)
    assert (result.type, summary.partition("\n")[0]) == (innermost, line)
    for wrapper in ("user code", cause.GENERATED, "function_node", "{{", "[Op:"):
        assert wrapper not in summary


def test_a_cause_that_was_cut_off_is_called_so() -> None:
    """An earlier version stored the first 4,000 characters."""
    cut = STORED.partition("NameError")[0].rstrip()
    assert cause.is_wrapped(cut)
    assert cause.sentence(cause.from_text("NameError", cut)) == (
        "its cause was cut off (beside.py, line 3, in scaled, called at mine.py, "
        "line 14, in decode)"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "\nNot equal to tolerance rtol=1e-05, atol=0\nnot one more\nMismatched "
            "elements: 3 / 48 (6.25%)\nFirst mismatch is at:\n [0]: 1 (ACTUAL)\n"
            "Max absolute difference among violations: 1.\n ACTUAL: array([1., 2.])",
            "Not equal to tolerance rtol=1e-05, atol=0; not one more; Mismatched "
            "elements: 3 / 48 (6.25%); Max absolute difference among violations: 1.",
        ),
        (
            "\nArrays are not equal\n\nMismatched elements: 1 / 2 (50%)\n"
            " x: array([1])",
            "Arrays are not equal; Mismatched elements: 1 / 2 (50%)",
        ),
    ],
)
def test_a_comparison_of_numpy_is_in_the_first_line(text: str, line: str) -> None:
    """The arrays follow if there is room for them."""
    first, _, rest = cause.sentence(cause.from_text("AssertionError", text)).partition(
        "\n"
    )
    assert first == line
    assert "array(" in rest


def raised(function: Callable, *arguments: object) -> Exception:
    """Return the exception that a function raises."""
    try:
        function(*arguments)
    except Exception as error:
        return error
    raise AssertionError("it raised nothing")


@pytest.fixture
def mine(tmp_path: Path) -> types.ModuleType:
    """Import a user's file."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import json\n\ndef check(output):\n    assert output > 1\n\n"
        "def parse(text):\n    return json.loads(text)\n"
    )
    spec = importlib.util.spec_from_file_location("mine", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_assertion_without_a_message_shows_its_line(mine: types.ModuleType) -> None:
    """Otherwise the message would be empty."""
    result = cause.sentence(cause.innermost(raised(mine.check, 0)))
    words = "no message: assert output > 1 (mine.py, line 4, in check, called at "
    assert result.startswith(words)  # the caller is this file


def test_the_place_is_in_the_user_s_file_and_not_in_a_library(
    mine: types.ModuleType,
) -> None:
    """It is the innermost frame in the user's file."""
    error = raised(mine.parse, "{")
    result = cause.sentence(cause.innermost(error))
    assert "(mine.py, line 7, in parse, called at " in result
    assert result.startswith("Expecting property name enclosed in double quotes")


def test_an_invalid_module_has_its_place_once() -> None:
    """Python's own text names the place."""
    error = raised(compile, "def f(:\n", "beside.py", "exec")
    assert (
        cause.sentence(cause.innermost(error)) == "invalid syntax (beside.py, line 1)"
    )


def test_a_node_of_a_graph_names_its_layer_or_its_line() -> None:
    error = RuntimeError(OF_AN_OP)
    result = cause.innermost(error, ["rescaling", "category_encoding"])
    assert result.layer == "category_encoding"
    ops: list[str] = []

    def made(op: str) -> list[Frame]:
        ops.append(op)
        return [
            Frame("/home/me/caller.py", 1, "<module>"),
            Frame(f"{ROOT}/bench/pipeline.py", 9, "both"),
            Frame("/home/me/mine.py", 8, "<lambda>"),
        ]

    result = cause.sentence(cause.innermost(error, made=made))
    assert result == "Input arr must be non-negative! (mine.py, line 8, in a lambda)"
    assert ops == ["category_encoding_1/bincount/DenseBincount"]


def test_a_long_message_does_not_hide_the_place() -> None:
    """The message is cut at a sentence or a word, and its whole text follows."""
    words = "Using a tensor as a bool is not allowed. " + "You can do much. " * 50
    error = cause.Cause("E", words.strip(), (Frame("/home/me/mine.py", 8, "call"),))
    first, _, rest = cause.sentence(error).partition("\n")
    assert len(first) < 260
    assert first.endswith("You can do much. ... (mine.py, line 8, in call)")
    assert rest == words.strip()
    error = cause.Cause("E", "word " * 100, (Frame("/home/me/mine.py", 8, "call"),))
    assert " word ... (mine.py" in cause.sentence(error)


def test_a_key_error_of_a_layer_is_unwrapped_too() -> None:
    """Python shows the message of a key error as a literal, in quotes."""
    text = "Exception encountered when calling Sequential.call().\n\n-1\n\n"
    error = KeyError(f"{text}Arguments received by Sequential.call():\n  • inputs=x")
    result = cause.innermost(error)
    assert (result.message, result.layer) == ("-1", "Sequential")
    assert cause.innermost(KeyError("age")).message == "'age'"
