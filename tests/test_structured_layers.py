"""Layers on dicts and on labels, and the shelf against the layers of Keras."""

import inspect
import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import shelf

import run_bench
from bench import catalog, worker
from bench.pipeline import pipeline
from bench.run.protocol import Request
from bench.trial import Effort, Failure, Trial

BRIEF = Effort(rounds=1, steady_seconds=0.05, warmup_seconds=0.05)
NAMES = {"ContrastLimitedAdaptiveHistogramEqualization": "clahe"}
NAMES |= {"STFTSpectrogram": "spectrogram"}


def measured(name: str, folder: Path, **axes: object) -> object:
    trial = Trial(workload=name, pipeline=pipeline({"batch_size": 32, **axes}))
    request = Request(
        verb="measure",
        trial=trial,
        effort=BRIEF,
        seed=1,
        asked=0.0,
        result=str(folder / "result.json"),
    )
    return worker.measure(request, 0.0)


def preprocessing_layers() -> list[type]:
    """Return every preprocessing layer of Keras, and FeatureSpace."""
    kinds = [kind for _, kind in inspect.getmembers(keras.layers, inspect.isclass)]
    layers = [kind for kind in kinds if issubclass(kind, keras.Layer)]
    own = [kind for kind in layers if ".preprocessing." in kind.__module__]
    return [*own, keras.utils.FeatureSpace]


def not_listed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the layers of Keras that `list --json` does not show."""
    assert run_bench.main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["layers"]
    names = []
    for kind in preprocessing_layers():
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
        names.append(NAMES.get(kind.__name__, snake))
    return [name for name in names if name not in listed]


def test_every_preprocessing_layer_of_keras_is_on_the_shelf(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A new layer of Keras needs a file in `layers/`."""
    assert len(preprocessing_layers()) >= 43 + 1
    assert not_listed(capsys) == []


def test_a_layer_of_keras_without_a_file_is_noticed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = keras.layers.RandomFlip.__module__
    newer = type("RandomMoire", (keras.layers.RandomFlip,), {"__module__": module})
    monkeypatch.setattr(keras.layers, "RandomMoire", newer, raising=False)
    assert not_listed(capsys) == ["random_moire"]


@pytest.mark.parametrize("order", ["map_batch", "batch_map"])
@pytest.mark.parametrize("name", shelf.STRUCTURED)
def test_a_structured_layer_is_measured_or_refused(
    name: str, order: str, tmp_path: Path
) -> None:
    """MixUp and CutMix do nothing to a single example."""
    record = measured(name, tmp_path, order=order)
    mixes = {"mix_up": "MixUp", "cut_mix": "CutMix"}.get(name)
    if order == "map_batch" and mixes:
        assert record.error == Failure(
            type="UsageError",
            message=f"order=map_batch: {mixes} cannot mix a single example: it needs a "
            "batch; use order=batch_map.",
            phase="check",
        )
    else:
        assert record.error is None, record.error
        assert len(record.samples) >= 1


@pytest.mark.parametrize("name", ["cut_mix", "mix_up"])
def test_labels_that_stay_behind_are_refused(name: str) -> None:
    """An image that is mixed needs a label that is mixed in the same way."""
    module = catalog.load(catalog.find(name))
    images, labels = module.examples(np.random.default_rng(3), 32)
    layer = module.build(images)
    mixed = layer({"images": images.astype(np.float32), "labels": labels})
    output = (np.array(mixed["images"]), np.array(mixed["labels"]))
    module.check((images, labels), output)
    with pytest.raises(AssertionError, match="label"):
        module.check((images, labels), (output[0], labels))
    with pytest.raises(AssertionError):
        module.check((images, labels), (output[0] + 1, output[1]))


def test_boxes_of_other_images_are_refused() -> None:
    module = catalog.load(catalog.find("max_num_bounding_boxes"))
    batch = module.examples(np.random.default_rng(3), 8)
    boxes = batch["bounding_boxes"]
    cut = {name: values[:, : module.MOST] for name, values in boxes.items()}
    module.check(batch, {"images": batch["images"], "bounding_boxes": cut})
    wrong = {**cut, "boxes": np.roll(cut["boxes"], 1, axis=0)}
    with pytest.raises(AssertionError, match="boxes of an image changed"):
        module.check(batch, {"images": batch["images"], "bounding_boxes": wrong})


def test_a_shuffled_table_is_refused() -> None:
    module = catalog.load(catalog.find("feature_space"))
    batch = module.examples(np.random.default_rng(3), 256)
    output = np.array(module.build(batch)(dict(batch)))
    module.check(batch, output)
    with pytest.raises(AssertionError):
        module.check(batch, np.roll(output, 1, axis=0))
