"""This module puts a trial's data, layers and model together in its process."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import tensorflow as tf

from bench.catalog import Entry
from bench.data.inputs import CHECKED_EXAMPLES, Inputs, takes_examples
from bench.errors import UsageError
from bench.measure import (
    capacity,
    check,
    consumers,
    grain_host,
    nests,
    resampling,
    sources,
    trainable_labels,
)
from bench.measure.layers import (
    apply_layers,
    as_written,
    graph_function,
    supports_jit,
    to_numpy,
)
from bench.measure.rhythm import Rhythm, rhythm, scattered
from bench.measure.tf_data import build
from bench.pipeline import Pipeline


@dataclass
class Assembly:
    """An assembly holds what a trial works on, and lives as long as its process.

    Attributes:
        pipeline: The value of every axis.
        entry: The catalog's entry of the workload or layer.
        module: The imported file of that entry.
        inputs: Raw examples.
        layers: The layers that `build` returned, adapted where they have a state.
        seed: The seed of shuffling.
        device: The device on which the model runs, such as `/CPU:0`.
        ranks: The rank of each component of the layers' output for a bare example; None
            until it is known.
        ragged_output: Whether the layers are known to make ragged batches.
        preprocessed: The stored outputs of the layers, for `placement=offline`.
        folders: Folders of the files that the pipeline writes to disk.
    """

    pipeline: Pipeline
    entry: Entry
    module: ModuleType
    inputs: Inputs
    layers: list
    seed: int
    device: str
    ranks: object | None = None
    ragged_output: bool = False
    preprocessed: tf.data.Dataset | None = None
    folders: list[Path] = field(default_factory=list)

    @cached_property
    def layers_function(self) -> tf.types.experimental.PolymorphicFunction:
        """The layers as a graph function of a batch, traced once for all callers."""
        return graph_function(self.layers, several_sizes=bool(self.sizes))

    @cached_property
    def _decoded(self) -> tf.data.Dataset | None:
        """The decoded records; None if they are ragged or are decoded in batches."""
        if self.entry.decodes_batches:
            return None
        records = self._source(_without_buffers(self.pipeline))
        if nests.has_ragged(records.element_spec):
            return None
        try:
            return records.map(self.module.decode) if self.entry.decodes else records
        except Exception:  # decode() fails in the pipeline too, which reports that
            return None

    @cached_property
    def sizes(self) -> list[list[int]]:
        """The shapes of a component of the features, if they differ among examples."""
        if self._decoded is None:
            return []
        try:
            return sources.several_shapes(self._decoded.take(self.checked_examples))
        except tf.errors.OpError:  # as above
            return []

    @cached_property
    def checked_examples(self) -> int:
        """How many examples are checked: few where they are large."""
        if self._decoded is None:
            return CHECKED_EXAMPLES
        try:
            size = sources.example_bytes(self._decoded)
        except tf.errors.OpError:  # as above
            return CHECKED_EXAMPLES
        return check.examples_within_limit(size, self.entry.deterministic)

    @property
    def _checked_batch(self) -> int:
        """The examples of a batch that is checked."""
        if self.sizes:
            return 1
        few = self.checked_examples < CHECKED_EXAMPLES
        size = self.pipeline.batch_size
        return min(size, self.checked_examples) if few else size

    def demand_one_size(self, consumer: str) -> None:
        """Refuse to batch examples of several sizes before a layer resizes them.

        Raises:
            UsageError: The trial batches them; the message has the least and largest.
        """
        p = self.pipeline
        late = p.place.stores_outputs or self.maps_examples
        if (late and consumer != "serve") or not self.sizes:
            return
        what = f"order={p.order}" if p.place.maps_layers else f"placement={p.placement}"
        what = "serve" if consumer == "serve" else what
        raise UsageError(
            f"{what}: the examples have {len(self.sizes)} sizes, from {self.sizes[0]} "
            f"to {self.sizes[-1]}, and a batch needs one. Resize them in decode(), or "
            "use order=map_batch with a layer that makes them one size."
        )

    @cached_property
    def class_labels(self) -> np.ndarray | None:
        """The labels as resampling gets them, one a record; None without labels.

        Records of files and decoded records are read once for their labels, unless the
        labels are known.
        """
        decoded = resamples_decoded(self.pipeline, self.entry)
        stream = self.inputs.stream
        if stream is not None and (decoded or not stream.fields):
            return stream.labels if stream.fields else self.inputs.labels
        if not (decoded or self.entry.reads_files or self.entry.has_source):
            return self.inputs.labels
        records = self._source(_without_buffers(self.pipeline))
        if decoded:
            records = records.map(self.module.decode)
        return resampling.labels_of(records)

    def demand_two_classes(self) -> None:
        """Refuse to resample labels that are not 0 and 1.

        Raises:
            UsageError: There are other labels; the message lists values and counts.
        """
        if self.pipeline.resample == "none":
            return
        maker = "read" if self.entry.reads_files else "examples"
        remedy = f"Let {maker}() return such labels, or leave resample out."
        if resamples_decoded(self.pipeline, self.entry):
            remedy = "Let decode() return such labels, or leave resample out."
        elif self.entry.decodes:
            remedy += " decode() comes after resampling, unless cache=decoded is added."
        resampling.demand_two_classes(self.pipeline.resample, self.class_labels, remedy)

    @as_written
    def call(self, features: object) -> object:
        """Apply the layers to a batch."""
        return apply_layers(self.layers, features)

    def output_ranks(self, example: object) -> object:
        """Return the ranks of the layers' output for one example.

        The layers are traced and not run.

        Args:
            example: The layers' input, in the map function that needs the ranks.
        """
        if self.ranks is None:
            specs = nests.batch_specs(example, self.pipeline.batch_size)
            with tf.init_scope(), tf.device(self.device):  # out of that map function
                traced = self.layers_function.get_concrete_function(specs)
            outputs = traced.structured_outputs
            self.ragged_output = nests.has_ragged(outputs)
            self.ranks = tf.nest.map_structure(
                lambda part: part.shape.rank - 1, outputs
            )
        return self.ranks

    def rhythm(
        self, *, held: bool = False, counting: float = 0.0, epoch: float = 0.0
    ) -> Rhythm:
        """Return when the pipeline's costs recur.

        Args:
            held: Whether the consumer needs only one batch, which stays in memory.
            counting: Seconds that counting the records of files may take; their number
                is known only after reading. A longer count is replaced by the number of
                examples that was requested.
            epoch: Batches in an epoch where an earlier run has counted them.
        """
        rare, spread, files, count = 0, False, 0, self.inputs.count
        if self.pipeline.resample != "none":
            labels = self.class_labels
            sizes = np.bincount(labels, minlength=2)
            count, rare = len(labels), int(sizes.min())
            positions = np.flatnonzero(labels == sizes.argmin()).tolist()
            spread = scattered(positions, count)
        elif epoch:
            count = round(epoch * self.pipeline.batch_size)
        if self.entry.reads_files or self.entry.has_source:
            files = len(self.inputs.features) if self.entry.reads_files else 0
            streamed = self.inputs.stream is not None
            if streamed and files == 1 and not self.pipeline.read_latency_ms:
                files = 0  # opening one table is nothing beside reading a long one
            counting = 0.0 if held or streamed else counting
            raw = self._source(_without_buffers(self.pipeline)) if counting else None
            count = (raw and sources.count_records(raw, counting)) or count
        return rhythm(
            self.pipeline, count, rare=rare, scattered=spread, files=files, held=held
        )

    @property
    def maps_examples(self) -> bool:
        """Whether the dataset maps the layers over bare examples, and not batches."""
        p = self.pipeline
        return p.place.maps_layers and p.order == "map_batch"

    def reference_output(self, batch: object) -> object:
        """Return what the layers make of a batch outside of any pipeline or model."""
        with tf.device(self.device):
            return self.layers_function(batch)

    def store(self, scratch: Path, facts: dict[str, float | str]) -> None:
        """Preprocess every example once and write the outputs to disk."""
        self.folders.append(scratch / "stored")
        batches = self._preprocessed_once()
        what = "placement=offline: the stored outputs"
        capacity.demand_room(batches, self.inputs.count, what, scratch)
        self.preprocessed, size = sources.store(batches, self.folders[-1])
        facts["stored_bytes"] = size

    def files_on_disk(self) -> list[Path]:
        """Return the files that the pipeline has on disk now."""
        return [
            path
            for folder in self.folders
            for path in folder.rglob("*")
            if path.is_file()
        ]

    def raw_and_outputs(
        self, timed: tf.data.Dataset | None = None
    ) -> list[tuple[object, object]]:
        """Return raw batches, each with the output of this placement for that batch.

        Args:
            timed: The endless pipeline that will be timed. Where its batches come in
                the order of the raw ones, the outputs are taken from it. Otherwise a
                second pipeline is traced for the check only.
        """
        p = self.pipeline
        examples, size = self.checked_examples, self._checked_batch
        if p.place.stores_outputs:
            # As raw batches come: the next epoch fills up what the last one left.
            timed = self.preprocessed.repeat().batch(size, drop_remainder=True)
        whole = not self.sizes and size == p.batch_size
        if p.in_grain:
            raw = self.raw_batches(examples)
            plain = replace(_without_buffers(p), batch_size=size)
            dataset = timed if timed and plain == p else self.grain_dataset(plain)
            outputs = grain_host.first_batches(dataset, len(raw))
            return list(zip(raw, map(self._subject, outputs), strict=True))
        in_order = timed is not None and self._batches_in_order() and whole
        if p.place.stores_outputs or in_order:
            raw = self.raw_batches(examples)  # as many, if layers change the rows
            outputs = (self._subject(batch) for batch in timed.take(len(raw)))
            return list(zip(raw, outputs, strict=True))
        if p.place.in_model:
            call = (
                tf.function(self.call, jit_compile=True)
                if self.jit()
                else self.reference_output
            )
            with tf.device(self.device):
                return [(raw, call(raw)) for raw in self.raw_batches(examples)]

        @as_written
        def with_input(record: tuple) -> tuple:
            subject = self._subject(record)
            return subject, self._apply_in_map(subject)

        p = replace(_without_buffers(p), batch_size=size)
        if p.order == "batch_map_unbatch":  # resamples records whose labels are gone
            p = replace(p, resample="none")
        dataset = self._build(p, self._source(p), with_input, whole=True)
        return [batch[:2] for batch in check.first_batches(dataset, examples)]

    def dataset(self, scratch: Path, *, repeat: bool) -> object:
        """Build the pipeline that is timed: a dataset of tf.data or of Grain."""
        p = self.pipeline
        if p.in_grain:
            return self.grain_dataset(p, repeat=repeat)
        path = ""
        if p.cache_storage == "disk":
            self.folders.append(scratch / "cache")
            self.folders[-1].mkdir()
            path = str(self.folders[-1] / "cache")
        if p.place.stores_outputs:
            return self._build(p, self.preprocessed, _identity, False, path, repeat)
        layers = _identity if p.place.in_model else self._apply_in_map
        return self._build(p, self._source(p), layers, None, path, repeat)

    def grain_dataset(
        self, p: Pipeline, record: tuple | None = None, *, repeat: bool = True
    ) -> object:
        """Build a pipeline in Grain.

        Args:
            p: The pipeline, with the same order as the trial's.
            record: A tuple of arrays in place of the inputs, the first of which is what
                the layers get; None for the inputs themselves.
            repeat: Whether the dataset is endless, or one epoch.
        """
        takes_labels = record is None and self.entry.takes_labels
        record = record or self.inputs.record
        if takes_labels:
            _demand_labels(record)
        example = grain_host.first_example(record)
        subject = example[:2] if takes_labels else example[0]
        ranks = self.output_ranks(subject) if self.maps_examples else None
        return grain_host.build(
            p,
            record,
            grain_host.LayersOnRecord(self.layers, ranks, takes_labels),
            entry=self.entry,
            seed=self.seed,
            repeat=repeat,
        )

    def consumer(self, dataset: object, name: str) -> consumers.Consumer:
        """Build the consumer that takes batches from a dataset; it is not traced yet.

        Args:
            dataset: The batches to consume, of tf.data or of Grain.
            name: `train`: training steps. `model`: training steps on one cached batch,
                so that no pipeline is timed. Any other name: drain, which only takes
                batches, and applies the layers if they are part of the model.
        """
        if self.pipeline.in_grain:
            if name == "drain":
                return grain_host.DrainGrain(dataset)
            dataset = grain_host.for_keras(dataset)
        if name in ("train", "model"):
            first = next(iter(dataset))
            if name == "model":
                dataset = dataset.take(1).cache().repeat()
            return consumers.Train(dataset, self.model(first), first, self.device)
        if self.pipeline.place.in_model:
            return consumers.DrainModel(
                dataset, self.call, jit=self.jit(), device=self.device
            )
        return consumers.Drain(dataset)

    def model(self, batch: tuple) -> keras.Model:
        """Compile the workload's model; with `placement=model` the layers come first.

        Args:
            batch: (features, labels) as the pipeline gives them.
        """
        trainable_labels.demand(batch)
        with tf.device(self.device):
            features = nests.keras_inputs(batch[0])
            in_model = self.pipeline.place.in_model
            inside = apply_layers(self.layers, features) if in_model else features
            model = keras.Model(features, self.module.model(inside))
            model.compile(
                optimizer=self.optimizer(),
                loss=getattr(self.module, "LOSS", "sparse_categorical_crossentropy"),
                jit_compile={"on": True, "off": False}.get(self.pipeline.jit, "auto"),
            )
        return model

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Return a new optimizer as the file defines it.

        An optimizer belongs to one model only.
        """
        own = keras.optimizers.get(getattr(self.module, "OPTIMIZER", "adam"))
        return type(own).from_config(own.get_config())

    def raw_batches(self, examples: int) -> list[object]:
        """Return the first raw batches, decoded, that hold at least these examples."""
        batches = check.first_batches(self._raw(), examples)
        return [self._subject(batch) for batch in batches]

    def first_examples(self, count: int) -> object:
        """Return a batch of the first decoded examples."""
        count = 1 if self.sizes else min(count, self.checked_examples)
        examples = self._raw().unbatch().batch(count)
        return self._subject(next(iter(examples)))

    def reread_raw_batches(self) -> list[object]:
        """Read the checked raw batches again; return none if they cannot change."""
        could_change = self.entry.decodes or self.entry.reads_files
        return self.raw_batches(self.checked_examples) if could_change else []

    def raw_batch(self) -> tuple:
        """Return the first raw batch, decoded, with its labels."""
        return next(iter(self._raw()))

    def repeated_dataset(self, records: int) -> tf.data.Dataset:
        """Return the first records twice in a row, as the trial's dataset maps them.

        Args:
            records: How many records; an even number, since batches have two.
        """
        p = replace(
            _without_buffers(self.pipeline),
            batch_size=2,
            map_parallel_calls=0,
            prefetch=0,
        )
        p = replace(p, resample="none", interleave_parallel_calls=0)
        source = self._source(p).take(records).cache().repeat(2)
        layers = self._apply_in_map if p.place.maps_layers else _identity
        return self._build(p, source, layers, None, "", False, drop=False)

    def placement_output(self, examples: object) -> object:
        """Return what this placement's layers make of decoded examples.

        Args:
            examples: A batch, of the shapes and types of the workload's own.
        """
        if self.pipeline.in_grain:
            count = nests.count(examples)
            p = Pipeline(host="grain", order=self.pipeline.order, batch_size=count)
            dataset = self.grain_dataset(p, (to_numpy(examples),), repeat=False)
            ((output,),) = grain_host.first_batches(dataset, 1)
            return output
        if not self.maps_examples:
            return self.reference_output(examples)
        dataset = tf.data.Dataset.from_tensor_slices((examples,))
        dataset = dataset.map(lambda *record: self._apply_in_map(*record))
        return next(iter(dataset.batch(nests.count(examples))))

    def inference_dataset(self) -> tf.data.Dataset:
        """Return batches in order, with the layers in the dataset, augmentation off."""
        p = replace(
            _without_buffers(self.pipeline),
            placement="dataset",
            order="batch_map" if self.entry.decodes_batches else "map_batch",
            resample="none",
        )
        ranks = None if self.entry.decodes_batches else self.output_ranks

        def outside_training(features: object) -> object:
            return apply_layers(self.layers, features, ranks=ranks, training=False)

        return self._build(p, self._source(p), outside_training)

    def _raw(self) -> tf.data.Dataset:
        """Return a dataset of decoded batches, to which no layers are applied."""
        p = _without_buffers(self.pipeline)
        size = self._checked_batch
        p = replace(p, placement="model", resample="none", batch_size=size)
        p = replace(p, host="tf.data", worker_count=0)
        return self._build(p, self._source(p), _identity)

    @as_written
    def _apply_in_map(self, features: object) -> object:
        """Apply the layers to what the dataset's map gets: an example or a batch."""
        if not self.maps_examples:
            return apply_layers(self.layers, features)
        return self._apply_to_example(features)

    @as_written
    def _apply_to_example(self, features: object) -> object:
        return apply_layers(self.layers, features, ranks=self.output_ranks)

    def _subject(self, record: tuple) -> object:
        """Return the features of a record, and the label if the layers take it."""
        return record[:2] if self.entry.takes_labels else record[0]

    def _of_record(self, function: Callable) -> Callable:
        """Return a function that applies `function` to the part that layers take.

        The rest of a record stays as it is.
        """

        @as_written
        def changed(record: tuple) -> tuple:
            if not self.entry.takes_labels:
                return function(record[0]), *record[1:]
            _demand_labels(record)
            return *function(record[:2]), *record[2:]

        return changed

    def jit(self) -> bool:
        """Whether XLA compiles the layers where a model has them."""
        if self.pipeline.jit == "auto":  # as Keras does: all or nothing, never on CPU
            return supports_jit(self.layers) and "GPU" in self.device
        return self.pipeline.jit == "on"

    def _source(self, p: Pipeline) -> tf.data.Dataset:
        return sources.raw_records(p, self.entry, self.module, self.inputs)

    def _batches_in_order(self) -> bool:
        """Whether the timed batches are those of the first examples, at no cost."""
        p = self.pipeline
        plain = replace(_without_buffers(p), prefetch=p.prefetch, resample="none")
        return p.place.maps_layers and p.deterministic and plain == p

    def _preprocessed_once(self) -> tf.data.Dataset:
        """Return the layers' output for every example, in order."""
        p = replace(
            _without_buffers(self.pipeline),
            placement="dataset",
            order="map_batch" if self.sizes else "batch_map",
            resample="none",
            interleave_cycle_length=1,
        )
        layers = self._apply_to_example if self.sizes else self.call
        batches = self._build(p, self._source(p), layers, None, "", False, drop=False)
        return batches.unbatch()

    def _build(
        self,
        p: Pipeline,
        source: tf.data.Dataset,
        layers: object,
        decodes: bool | None = None,
        cache_path: str = "",
        repeat: bool = True,
        drop: bool = True,
        whole: bool = False,
    ) -> tf.data.Dataset:
        """Build the dataset of a pipeline.

        With `whole`, the function `layers` gets whole records; otherwise it gets the
        part of a record that the layers take.
        """
        return build(
            p,
            source,
            getattr(self.module, "decode", lambda *record: record),
            layers if whole else self._of_record(layers),
            decodes=self.entry.decodes if decodes is None else decodes,
            decodes_batches=self.entry.decodes_batches,
            cache_path=cache_path,
            seed=self.seed,
            repeat=repeat,
            drop_remainder=drop,
            ragged=lambda: nests.has_ragged(source.element_spec) or self.ragged_output,
            resample=None
            if p.resample == "none"
            else resampling.resampler(p.resample, self.class_labels),
        )


def build_result(entry: Entry, module: ModuleType, data: Inputs) -> object:
    """Call `build` with the raw features, if it takes them, and return its result."""
    if not takes_examples(entry):
        return module.build(**entry.variant)
    if data.stream is not None:  # whose features `build` has already; these are paths
        return module.build(None, **entry.variant)
    return module.build(nests.tensors(data.features), **entry.variant)


def resamples_decoded(p: Pipeline, entry: Entry) -> bool:
    """Whether records are decoded before their classes are resampled."""
    return entry.decodes and (p.cache == "decoded" or p.place.stores_outputs)


def _without_buffers(p: Pipeline) -> Pipeline:
    """Return the pipeline without cache, shuffling, prefetch and slow storage.

    These steps only move or keep batches; the check needs the first examples.
    """
    defaults = Pipeline()
    names = ("cache", "cache_storage", "prefetch", "shuffle_buffer", "storage")
    names = (*names, "read_latency_ms")
    return replace(p, **{name: getattr(defaults, name) for name in names})


def _demand_labels(record: tuple) -> None:
    """Refuse records without labels where the layers take labels.

    Raises:
        UsageError: The record has features only.
    """
    if len(record) < 2:
        raise UsageError(
            'ON = "example" gives the layers the labels, but the examples have none. '
            "Let examples() or decode() return (features, labels), or leave ON out."
        )


def _identity(features: object) -> object:
    return features
