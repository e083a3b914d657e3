"""This module is the table of flags: facts of a run that weaken its trial's result.

Each row has the texts of the terminal, the report and the glossary. A flag excludes a
trial from ranking if the trial did other work than the trials beside it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A flag is a fact that weakens a trial's result; this is its row in the table.

    No property has a default, so none is forgotten.

    Attributes:
        mark: A few words that mark the trial in a table of the report.
        meaning: The sentence of the glossary that explains the mark.
        caution: The sentence that explains the weakness, after the trial's name. Empty
            if the sentence depends on the trial: `report/lumps.py` has the caution of
            `partly_timed`.
        remedy: What the user can do.
        bars: Whether a trial with this flag is excluded from ranking.
        bars_facts: Whether the trial's facts, such as counts, are also excluded when
            claims are tested.
        raised_by: The fact that raises the flag, and a part of that fact's text; None
            if the worker raises the flag itself.
    """

    mark: str
    meaning: str
    caution: str
    remedy: str
    bars: bool
    bars_facts: bool
    raised_by: tuple[str, str] | None


FLAGS: dict[str, Flag] = {
    "retraced": Flag(
        mark="traced again while timed",
        meaning="the samples include compilation, so the trial is not ranked.",
        caution="a function was traced again inside the timed windows, so they include "
        "compilation; not ranked.",
        remedy="Give the model one shape: look for a batch whose shape changes.",
        bars=True,
        bars_facts=True,
        raised_by=None,
    ),
    "frozen_random": Flag(
        mark="augmentation frozen",
        meaning="a random layer's output was stored and repeated, so the trial is not "
        "ranked.",
        caution="a random layer's output was stored once and repeated, so the "
        "augmentation never changes; not ranked.",
        remedy="Put the cache before the random layer.",
        bars=True,
        bars_facts=True,
        raised_by=None,
    ),
    "frozen_trace": Flag(
        mark="choice frozen by tracing",
        meaning="a layer draws a choice while it is traced and keeps it for the whole "
        "run, so another trial does other work; the trial is not ranked.",
        caution="a layer draws a choice while it is traced and keeps it for the whole "
        "run, so two trials time different work; not ranked.",
        remedy="Draw with keras.random or tf.random in the graph, not with Python's or "
        "NumPy's random.",
        bars=True,
        bars_facts=True,
        raised_by=("draws", "per trace"),
    ),
    "cache_not_filled": Flag(
        mark="cache not filled",
        meaning="no example came from the cache, so the trial is not ranked.",
        caution="the cache was never read to its end, so no example came from it; not "
        "ranked.",
        remedy="Make sure that nothing before the consumer ends an epoch early.",
        bars=True,
        bars_facts=True,
        raised_by=None,
    ),
    "partly_timed": Flag(
        mark="partly timed",
        meaning="an epoch takes longer than the timed part, and the rest of the epoch "
        "does not take its usual share of the time, so the trial is not ranked.",
        caution="",
        remedy="Time whole epochs: fewer examples, or --unit epoch where nothing is "
        "resampled.",
        bars=True,
        bars_facts=False,
        raised_by=None,
    ),
    "inputs_changed": Flag(
        mark="data changed",
        meaning="some runs had other inputs than the first run, so the trial is not "
        "ranked.",
        caution="some runs had other inputs than the first run and do not count; not "
        "ranked.",
        remedy="Measure the trial again on data that stays the same.",
        bars=True,
        bars_facts=True,
        raised_by=None,
    ),
    "epochs_repeat": Flag(
        mark="epochs repeat",
        meaning="the augmentation repeats its random draws in every epoch.",
        caution="epochs repeat: the augmentation draws the same every epoch, since "
        "seeded tf.random operations in a map begin again with each epoch.",
        remedy="Draw with a Keras layer, keras.random with a SeedGenerator, or a "
        "tf.random.Generator.",
        bars=False,
        bars_facts=False,
        raised_by=("epochs_repeat", "yes"),
    ),
    "epochs_repeat_seeded": Flag(
        mark="epochs repeat once seeded",
        meaning="with a global seed, the augmentation would repeat its random draws in "
        "every epoch.",
        caution="epochs repeat as soon as a script sets a global seed "
        "(keras.utils.set_random_seed, tf.random.set_seed): the augmentation then "
        "draws the same every epoch.",
        remedy="Draw with a Keras layer, keras.random with a SeedGenerator, or a "
        "tf.random.Generator.",
        bars=False,
        bars_facts=False,
        raised_by=("epochs_repeat", "once seeded"),
    ),
    "masks_left": Flag(
        mark="labels not moved",
        meaning="the layers move the features but not the labels, which have a height "
        "and a width.",
        caution="the layers move the features but not the labels, which have a height "
        "and a width.",
        remedy="Pass images and masks to the layers together, as a dict with the keys "
        "images and segmentation_masks.",
        bars=False,
        bars_facts=False,
        raised_by=("masks_left", ""),
    ),
    "output_is_input": Flag(
        mark="output equals input",
        meaning="a layer, or all layers together, changed none of the checked "
        "examples.",
        caution="a layer, or all layers together, changed none of the checked examples "
        "(64 or more): was the layer adapted?",
        remedy="Adapt the layer in build; a layer that mixes examples needs a batch.",
        bars=False,
        bars_facts=False,
        raised_by=("unchanged_examples", ""),
    ),
    "draws_shared": Flag(
        mark="draws shared by a batch",
        meaning="a random layer makes some or all of its draws once for a whole batch; "
        "on single examples the layer draws for each example.",
        caution="a random layer draws once for a whole batch but, on single examples, "
        "once for each example, so the axis order changes the augmentation.",
        remedy="Map before batch if every example needs its own draw.",
        bars=False,
        bars_facts=False,
        raised_by=("draws", "per batch"),
    ),
    "draws_repeated": Flag(
        mark="draws used again",
        meaning="Grain's worker processes, or its threads, use random draws again that "
        "another one has used, so some examples are augmented alike.",
        caution="Grain's worker processes get equal copies of a layer's seeds, or its "
        "threads read one seed at the same time: some examples have the draws of "
        "others.",
        remedy="Draw from the example's index with Grain's random_map, or use "
        "worker_count=0 and map_parallel_calls=0.",
        bars=False,
        bars_facts=False,
        raised_by=("repeated_draws", ""),
    ),
    "batch_statistics": Flag(
        mark="depends on the batch",
        meaning="a layer uses statistics of the whole batch, so the same example has "
        "another output in another batch, and on its own.",
        caution="a layer uses statistics of the whole batch, so the axes order and "
        "batch_size change what the layers make of an example: trials with different "
        "ones do different work.",
        remedy="Compare only trials with one order and one batch size, or let the "
        "layer work on each image.",
        bars=False,
        bars_facts=False,
        raised_by=("statistics", "batch"),
    ),
    "xla_off": Flag(
        mark="XLA switched off",
        meaning="one layer cannot be compiled, so the whole model was not.",
        caution="one layer cannot be compiled, which switched XLA off for the whole "
        "model.",
        remedy="Move that layer into the dataset, or compare with jit=off.",
        bars=False,
        bars_facts=False,
        raised_by=None,
    ),
}
NOT_RANKED = tuple(name for name, flag in FLAGS.items() if flag.bars)
UNMARKED = "ramp_cut"  # has no mark, since nearly every trial has this flag
