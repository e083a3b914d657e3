"""One trial's workload in its process: data, layers and model, put together."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import tensorflow as tf

from bench.catalog import Entry
from bench.data.inputs import CHECKED_EXAMPLES, Inputs
from bench.measure import check, class_labels, consumers, resampling, sources
from bench.measure.layers import alone, apply_layers, as_written, supports_jit
from bench.measure.rhythm import Rhythm, rhythm, scattered
from bench.measure.tf_data import build
from bench.pipeline import Pipeline


@dataclass
class Assembly:
    """What a trial works on; lives as long as its process.

    Attributes:
        pipeline: Every axis.
        entry: The workload or layer.
        module: The same, imported.
        inputs: Raw examples.
        layers: Built, and adapted where they keep state.
        seed: Of shuffling.
        device: Where the model runs.
        rank: Of the layers' output for a bare example; None until it is asked for.
        stored: The preprocessed examples, with placement=offline.
        kept: Folders of what the pipeline keeps on disk.
    """

    pipeline: Pipeline
    entry: Entry
    module: ModuleType
    inputs: Inputs
    layers: list
    seed: int
    device: str
    rank: int | None = None
    stored: tf.data.Dataset | None = None
    kept: list[Path] = field(default_factory=list)

    @cached_property
    def reference(self) -> tf.types.experimental.PolymorphicFunction:
        """The layers by themselves, batch to batch; traced once for all who ask."""
        return alone(self.layers)

    @cached_property
    def class_labels(self) -> np.ndarray | None:
        """The labels as resampling meets them, one a record; None without labels.

        Records of files and decoded records are read once for their labels.
        """
        decoded = resamples_decoded(self.pipeline, self.entry)
        if not (decoded or self.entry.reads_files):
            return self.inputs.labels
        records = self._source(self._bare(self.pipeline))
        if decoded:
            records = records.map(self.module.decode)
        return resampling.labels_of(records)

    def demand_two_classes(self) -> None:
        """Refuse to resample labels that are not 0 and 1.

        Raises:
            UsageError: The labels are others, with their values and counts.
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
    def call(self, features: tf.Tensor) -> tf.Tensor:
        """The layers on a batch."""
        return apply_layers(self.layers, features)

    def known_rank(self, example: tf.Tensor) -> int:
        """The output's rank for a bare example, from tracing a batch, without a run.

        Args:
            example: What the layers take, in the map that asks.
        """
        if self.rank is None:
            shape = [self.pipeline.batch_size, *example.shape]
            with tf.init_scope(), tf.device(self.device):  # out of that map
                traced = self.reference.get_concrete_function(
                    tf.TensorSpec(shape, example.dtype)
                )
            self.rank = traced.structured_outputs.shape.rank - 1
        return self.rank

    def rhythm(
        self, *, held: bool = False, counting: float = 0.0, epoch: float = 0.0
    ) -> Rhythm:
        """When the pipeline's costs recur.

        Args:
            held: Whether one batch in memory is all that is asked for.
            counting: How long to count the records of files, whose number only reading
                tells; seconds. What takes longer has as many as it was asked to make.
            epoch: Batches in an epoch where an earlier run has counted them.
        """
        rare, spread, files, count = 0, False, 0, self.inputs.count
        if self.pipeline.resample != "none":
            labels = self.class_labels
            known = np.bincount(labels, minlength=2)
            count, rare = len(labels), int(known.min())
            places = np.flatnonzero(labels == known.argmin()).tolist()
            spread = scattered(places, count)
        elif epoch:
            count = round(epoch * self.pipeline.batch_size)
        if self.entry.reads_files:
            files = len(self.inputs.features)
            counting = 0.0 if held else counting
            raw = self._source(self._bare(self.pipeline)) if counting else None
            count = (raw and sources.records(raw, counting)) or count
        return rhythm(
            self.pipeline, count, rare=rare, scattered=spread, files=files, held=held
        )

    @property
    def meets_examples(self) -> bool:
        """Whether the layers meet bare examples; the output's rank may be asked for."""
        p = self.pipeline
        return p.place.maps_layers and p.order == "map_batch"

    def alone(self, batch: tf.Tensor) -> tf.Tensor:
        """What the layers make of a batch by themselves."""
        with tf.device(self.device):
            return self.reference(batch)

    def store(self, scratch: Path, facts: dict[str, float | str]) -> None:
        """Preprocess every example once and keep them on disk."""
        self.kept.append(scratch / "stored")
        self.stored, held = sources.store(self._mapped_once(), self.kept[-1])
        facts["stored_bytes"] = held

    def kept_files(self) -> list[Path]:
        """The files in these folders now."""
        return [
            path for folder in self.kept for path in folder.rglob("*") if path.is_file()
        ]

    def witness(
        self, timed: tf.data.Dataset | None = None
    ) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Raw batches with what this placement makes of them.

        Args:
            timed: The pipeline that will be timed, without end: where its batches come
                as raw ones do, it is asked itself, and not another one that is traced
                for this only.
        """
        p = self.pipeline
        examples = CHECKED_EXAMPLES
        if p.place.stores_outputs:
            # As raw batches come: the next epoch fills up what the last one left.
            timed = self.stored.repeat().batch(p.batch_size, drop_remainder=True)
        if p.place.stores_outputs or (timed is not None and self._keeps_step()):
            raw = self.raw_batches(examples)  # as many, if layers change the rows
            return list(
                zip(raw, (made[0] for made in timed.take(len(raw))), strict=True)
            )
        if p.place.in_model:
            call = (
                tf.function(self.call, jit_compile=True) if self.jit() else self.alone
            )
            with tf.device(self.device):
                return [(raw, call(raw)) for raw in self.raw_batches(examples)]

        @as_written
        def beside(features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return features, self._on_any(features)

        dataset = self._build(self._bare(p), self._source(self._bare(p)), beside)
        return [batch[0] for batch in check.first_batches(dataset, examples)]

    def dataset(self, scratch: Path, *, repeat: bool) -> tf.data.Dataset:
        """The pipeline that is timed."""
        p = self.pipeline
        path = ""
        if p.cache_storage == "disk":
            self.kept.append(scratch / "cache")
            self.kept[-1].mkdir()
            path = str(self.kept[-1] / "cache")
        if p.place.stores_outputs:
            return self._build(p, self.stored, _identity, False, path, repeat)
        layers = _identity if p.place.in_model else self._on_any
        return self._build(p, self._source(p), layers, None, path, repeat)

    def consumer(self, dataset: tf.data.Dataset, name: str) -> consumers.Consumer:
        """What pulls the batches, ready to trace."""
        if name in ("train", "model"):
            first = next(iter(dataset))
            if name == "model":
                dataset = dataset.take(1).cache().repeat()
            return consumers.train(dataset, self.model(first), first, self.device)
        if self.pipeline.place.in_model:
            return consumers.drain_model(
                dataset, self.call, jit=self.jit(), device=self.device
            )
        return consumers.drain(dataset)

    def model(self, batch: tuple) -> keras.Model:
        """The workload's model, compiled; the layers in front with placement=model."""
        class_labels.demand(batch)
        with tf.device(self.device):
            features = keras.Input(batch[0].shape[1:], dtype=batch[0].dtype.name)
            in_model = self.pipeline.place.in_model
            inside = apply_layers(self.layers, features) if in_model else features
            model = keras.Model(features, self.module.model(inside))
            constants = self.entry.constants
            model.compile(
                optimizer=constants.get("OPTIMIZER", "adam"),
                loss=constants.get("LOSS", "sparse_categorical_crossentropy"),
                jit_compile={"on": True, "off": False}.get(self.pipeline.jit, "auto"),
            )
        return model

    def raw_batches(self, examples: int) -> list[tf.Tensor]:
        """The first raw batches, decoded, so many that they hold these examples."""
        return [batch[0] for batch in check.first_batches(self._raw(), examples)]

    def raw_again(self) -> list[tf.Tensor]:
        """The checked raw batches once more; none where nothing could change them."""
        could = self.entry.decodes or self.entry.reads_files
        return self.raw_batches(CHECKED_EXAMPLES) if could else []

    def raw_batch(self) -> tuple:
        """The first raw batch, decoded, with its labels."""
        return next(iter(self._raw()))

    def twice(self, records: int) -> tf.data.Dataset:
        """The first records two times, as this placement's dataset maps them in turn.

        Args:
            records: How many; an even number, as batches have two.
        """
        p = replace(
            self._bare(self.pipeline), batch_size=2, map_parallel_calls=0, prefetch=0
        )
        p = replace(p, resample="none", interleave_parallel_calls=0)
        source = self._source(p).take(records).cache().repeat(2)
        layers = self._on_any if p.place.maps_layers else _identity
        return self._build(p, source, layers, None, "", False, drop=False)

    def applied(self, examples: tf.Tensor) -> tf.Tensor:
        """What this placement's layers make of decoded examples.

        Args:
            examples: `[count, ...]`, of the shape and type of the workload's own.
        """
        if not self.meets_examples:
            return self.alone(examples)
        dataset = tf.data.Dataset.from_tensor_slices(examples).map(self._on_any)
        return next(iter(dataset.batch(len(examples))))

    def inference_dataset(self) -> tf.data.Dataset:
        """Batches with the layers in the dataset and augmentation off, in order."""
        p = replace(
            self._bare(self.pipeline),
            placement="dataset",
            order="map_batch",
            resample="none",
        )

        def outside_training(features: tf.Tensor) -> tf.Tensor:
            return apply_layers(
                self.layers, features, rank=self.known_rank, training=False
            )

        return self._build(p, self._source(p), outside_training)

    def _raw(self) -> tf.data.Dataset:
        p = replace(self._bare(self.pipeline), placement="model", resample="none")
        return self._build(p, self._source(p), _identity)

    @as_written
    def _on_any(self, features: tf.Tensor) -> tf.Tensor:
        if not self.meets_examples:
            return apply_layers(self.layers, features)
        return apply_layers(self.layers, features, rank=self.known_rank)

    def jit(self) -> bool:
        """Whether the layers are compiled with XLA where a model has them."""
        if self.pipeline.jit == "auto":  # as Keras does: all or nothing, never on CPU
            return supports_jit(self.layers) and "GPU" in self.device
        return self.pipeline.jit == "on"

    def _source(self, p: Pipeline) -> tf.data.Dataset:
        return sources.source(p, self.entry, self.module, self.inputs)

    def _keeps_step(self) -> bool:
        """Whether the first batches are those of the first examples, at no cost."""
        p = self.pipeline
        first = replace(self._bare(p), prefetch=p.prefetch, resample="none")
        return p.place.maps_layers and p.deterministic and first == p

    def _bare(self, p: Pipeline) -> Pipeline:
        """Without what only moves or keeps batches: the gate wants the first ones."""
        defaults = Pipeline()
        names = ("cache", "cache_storage", "prefetch", "shuffle_buffer", "storage")
        kept = {name: getattr(defaults, name) for name in (*names, "read_latency_ms")}
        return replace(p, **kept)

    def _mapped_once(self) -> tf.data.Dataset:
        p = replace(
            self._bare(self.pipeline),
            placement="dataset",
            order="batch_map",
            resample="none",
            interleave_cycle_length=1,
        )
        batches = self._build(
            p, self._source(p), self.call, None, "", False, drop=False
        )
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
    ) -> tf.data.Dataset:
        return build(
            p,
            source,
            getattr(self.module, "decode", lambda *record: record),
            layers,
            decodes=self.entry.decodes if decodes is None else decodes,
            cache_path=cache_path,
            seed=self.seed,
            repeat=repeat,
            drop_remainder=drop,
            resample=None
            if p.resample == "none"
            else resampling.resampler(p.resample, self.class_labels),
        )


def resamples_decoded(p: Pipeline, entry: Entry) -> bool:
    """Whether records are decoded before their classes are resampled."""
    return entry.decodes and (p.cache == "decoded" or p.place.stores_outputs)


def _identity(features: tf.Tensor) -> tf.Tensor:
    return features
