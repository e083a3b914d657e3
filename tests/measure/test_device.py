"""This test runs the GPU's code path on a second logical CPU, in its own process.

Logical devices must be created before TensorFlow's first op, which has run here.
"""

import subprocess
import sys

from bench.catalog import ROOT

SCRIPT = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
from bench import catalog
from bench.data import inputs
from bench.pipeline import pipeline
from bench.measure.layers import as_layers
from bench.measure.assembly import Assembly

SECOND = "/device:CPU:1"

class Cast(tf.keras.layers.Layer):
    def call(self, features):
        return tf.cast(features, tf.float64)


for consumer in ("drain", "train"):
    entry = catalog.find("prices")
    module = catalog.load(entry)
    p = pipeline({"placement": "model", "batch_size": 8})
    prepared = inputs.Inputs(
        np.zeros((64, 4), np.float32), np.zeros(64, np.int64), "x", 64
    )
    assembly = Assembly(p, entry, module, prepared, [Cast()], 0, SECOND)
    pairs = assembly.raw_and_outputs()
    assert len(pairs) == 8
    assert all(output.device.endswith("CPU:1") for _, output in pairs)
    dataset = assembly.dataset(None, repeat=True)
    puller = assembly.consumer(dataset, consumer)
    puller.trace()
    puller.window(3)()
model = assembly.model(next(iter(dataset)))
assert all(w.value.device.endswith("CPU:1") for w in model.trainable_variables)
print("ran on", model.trainable_variables[0].value.device)
"""


def test_the_layers_and_the_model_run_on_the_requested_device():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "CPU:1" in done.stdout
