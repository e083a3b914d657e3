"""Record the tf.data calls of a user's function while it runs.

The public methods of `tf.data.Dataset` are wrapped for that time. A call counts if its
caller is a line of the user's. What a library builds within is a stage of its own,
named by the datasets that it consists of.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType

import tensorflow as tf

from bench.cause import Frame, user_frames
from bench.measure.function_traits import dataset_traits
from bench.run.user_pipeline import Setting, Stage

SOURCES = ("TextLineDataset", "TFRecordDataset", "FixedLengthRecordDataset")
AUTOTUNE = tf.data.AUTOTUNE
LEADS_CACHES_ELSEWHERE = "bench.measure.user_function"  # between the user and a cache
LONGEST = 60  # characters of an argument
CALLABLES = ("map_func", "predicate", "reduce_func", "key_func", "generator")


@dataclass
class Call:
    """A call of a method that made a dataset.

    Attributes:
        stage: What is known of the call.
        output: The dataset that it made.
        inputs: The datasets that it was called on or with.
        again: Makes the call again, on another dataset in place of its first argument;
            None for a constructor.
    """

    stage: Stage
    output: tf.data.Dataset
    inputs: list[tf.data.Dataset] = field(default_factory=list)
    again: Callable[[tf.data.Dataset], tf.data.Dataset] | None = None


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Record the user's calls that make a dataset, within; the list fills meanwhile."""
    calls: list[Call] = []
    owners = [tf.data.Dataset, *(getattr(tf.data, name) for name in SOURCES)]
    replaced: list[tuple[type, str, object]] = []
    for owner in owners:
        names = ["__init__"] if owner is not tf.data.Dataset else list(vars(owner))
        for name in names:
            original = inspect.getattr_static(owner, name)
            if name != "__init__" and (
                name.startswith("_") or not _is_method(original)
            ):
                continue
            replaced.append((owner, name, original))
            setattr(owner, name, _wrapped(owner, name, original, calls))
    try:
        yield calls
    finally:
        for owner, name, original in replaced:
            setattr(owner, name, original)


def stages(calls: list[Call], dataset: tf.data.Dataset) -> list[Stage]:
    """Return the stages that lead to a dataset, each after its inputs.

    Args:
        calls: The recorded calls.
        dataset: The dataset that the user's function returned.
    """
    by_output = {id(call.output): call for call in calls}
    places = [(c.stage.path, c.stage.end_line, c.stage.end_column) for c in calls]
    numbers: dict[int, int] = {}
    listed: list[Stage] = []

    def number(one: tf.data.Dataset) -> int:
        if id(one) in numbers:
            return numbers[id(one)]
        call = by_output.get(id(one)) or _of_library(one, by_output)
        inputs = [number(each) for each in call.inputs]
        stage = call.stage
        stage.inputs = inputs
        stage.calls = places.count((stage.path, stage.end_line, stage.end_column))
        numbers[id(one)] = len(listed)
        listed.append(stage)
        return numbers[id(one)]

    number(dataset)
    return listed


def outputs(calls: list[Call], stages: list[Stage]) -> list[tf.data.Dataset | None]:
    """Return the dataset of each stage; None for those that a library made."""
    by_stage = {id(call.stage): call.output for call in calls}
    return [by_stage.get(id(stage)) for stage in stages]


def _of_library(dataset: tf.data.Dataset, by_output: Mapping[int, Call]) -> Call:
    """Return one stage for all datasets above the recorded ones that no call made."""
    names, inputs, waiting = [], [], [dataset]
    while waiting:
        one = waiting.pop(0)
        if id(one) in by_output:
            inputs.append(one)
            continue
        names.append(type(one).__name__.strip("_").removesuffix("Dataset"))
        waiting += one._inputs()
    stage = Stage(
        method="library",
        settings={"datasets": " < ".join(names)},
        element=spell_spec(dataset.element_spec),
        cardinality=int(dataset.cardinality()),
        traits=_traits_below(dataset, by_output),
    )
    return Call(stage, dataset, inputs)


def _traits_below(dataset: tf.data.Dataset, by_output: Mapping[int, Call]) -> list[str]:
    traits: set[str] = set()
    waiting = [dataset]
    while waiting:
        one = waiting.pop()
        if id(one) not in by_output:
            traits |= set(dataset_traits(one))
            waiting += one._inputs()
    return sorted(traits)


def _is_method(attribute: object) -> bool:
    return callable(attribute) or isinstance(attribute, staticmethod)


def _wrapped(
    owner: type, name: str, original: object, calls: list[Call]
) -> Callable | staticmethod:
    function = original.__func__ if isinstance(original, staticmethod) else original
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        caller, shown_instead = sys._getframe(1), {}
        if caller.f_globals.get("__name__") == LEADS_CACHES_ELSEWHERE:
            shown_instead, caller = caller.f_locals, caller.f_back
        output = function(*args, **kwargs)
        dataset = args[0] if name == "__init__" else output
        is_dataset = isinstance(dataset, tf.data.Dataset) and tf.executing_eagerly()
        if is_dataset and _is_users(caller):
            shown = owner.__name__.removesuffix("V2") if name == "__init__" else name
            bound = signature.bind(*args, **kwargs).arguments
            bound |= {n: shown_instead[n] for n in bound if n in shown_instead}
            if not any(call.output is dataset for call in calls):  # as `apply` returns
                call = _call(shown, dataset, bound, caller)
                if name != "__init__":
                    call.again = lambda other: function(other, *args[1:], **kwargs)
                calls.append(call)
        return output

    return staticmethod(wrapper) if isinstance(original, staticmethod) else wrapper


def _is_users(frame: FrameType) -> bool:
    code = frame.f_code
    place = Frame(code.co_filename, frame.f_lineno or 0, code.co_name)
    return bool(user_frames([place]))


def _call(
    method: str, dataset: tf.data.Dataset, bound: Mapping[str, object], frame: FrameType
) -> Call:
    """Return the record of a call with the place in the source from which it came."""
    line, end_line, _, end_column = _positions(frame.f_code, frame.f_lasti)
    inputs = [
        value
        for value in tf.nest.flatten(list(bound.values()))
        if isinstance(value, tf.data.Dataset) and value is not dataset
    ]
    settings = {
        name: _spell(value)
        for name, value in bound.items()
        if name != "self" and not _is_dataset(value) and value is not None
    }
    functions = (bound.get(name) for name in CALLABLES)
    stage = Stage(
        method=method,
        settings={k: v for k, v in settings.items() if k not in CALLABLES},
        function=next((_named(one) for one in functions if one is not None), ""),
        path=frame.f_code.co_filename,
        line=line or 0,
        end_line=end_line or 0,
        end_column=end_column or 0,
        element=spell_spec(dataset.element_spec),
        cardinality=int(dataset.cardinality()),
        traits=dataset_traits(dataset),
    )
    return Call(stage, dataset, inputs)


def _positions(code: CodeType, instruction: int) -> tuple[int | None, ...]:
    """Line, end line, column and end column of a call; columns in UTF-8 bytes."""
    units = itertools.islice(code.co_positions(), instruction // 2, None)
    return next(units, (None, None, None, None))


def _is_dataset(value: object) -> bool:
    return any(isinstance(one, tf.data.Dataset) for one in tf.nest.flatten(value))


def _spell(value: object) -> Setting:
    if isinstance(value, tf.Tensor) and value.shape.rank == 0:
        value = value.numpy()
        value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value[:LONGEST]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_shape(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(_shape(one) for one in value) + ")"
    return _named(value) if callable(value) else _shape(value)


def _shape(value: object) -> str:
    if isinstance(value, list):
        return f"list of {len(value)}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        dtype = getattr(value.dtype, "name", value.dtype)
        return f"{dtype}{list(value.shape)}"
    return repr(value)[:LONGEST]


def _named(function: object) -> str:
    """A function by its name and line; another callable by its class."""
    code = getattr(function, "__code__", None)
    if code is None:
        name = getattr(function, "__name__", type(function).__name__)
        return str(getattr(function, "name", name))
    name = "lambda" if code.co_name == "<lambda>" else code.co_name
    return f"{name}, line {code.co_firstlineno}"


def spell_spec(spec: object) -> str:
    """An element spec in words, such as `(float32[?, 32, 32, 3], int64[?])`."""
    if isinstance(spec, dict):
        return "{" + ", ".join(f"{k}: {spell_spec(v)}" for k, v in spec.items()) + "}"
    if isinstance(spec, tuple | list):
        return "(" + ", ".join(spell_spec(one) for one in spec) + ")"
    if not hasattr(spec, "shape") or not hasattr(spec, "dtype"):
        return type(spec).__name__.removesuffix("Spec").lower()
    sizes = (
        "?"
        if spec.shape.rank is None
        else ", ".join("?" if size is None else str(size) for size in spec.shape)
    )
    kind = {"RaggedTensorSpec": "ragged ", "SparseTensorSpec": "sparse "}
    return f"{kind.get(type(spec).__name__, '')}{spec.dtype.name}[{sizes}]"
