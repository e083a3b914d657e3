"""The flags of a run: marks that weaken a trial, each with its words and its weight.

Each row has what the terminal, the report and its glossary say, and whether the flag
bars a trial from ranking because it did other work than it is compared on.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One flag.

    Attributes:
        mark: The words in a table's row.
        meaning: The sentence of the glossary that explains the mark.
        caution: What weakens the result; a sentence that follows the trial's name.
            Empty where the sentence depends on the trial; `lumps` has that of
            `partly_timed`.
        remedy: What the user can do about it.
        bars: Whether the trial has no rank.
    """

    mark: str
    meaning: str
    caution: str = ""
    remedy: str
    bars: bool = False


FLAGS: dict[str, Flag] = {
    "retraced": Flag(
        mark="traced again while timed",
        meaning="the samples hold compilation, so it is not ranked.",
        caution="a function was traced again inside the timed windows, so they hold "
        "compilation; not ranked.",
        remedy="Give the model one shape: look for a changing batch.",
        bars=True,
    ),
    "frozen_random": Flag(
        mark="augmentation frozen",
        meaning="a random layer's output was stored and repeated, so it is not ranked.",
        caution="a random layer's output was stored once and repeated, so the "
        "augmentation never changes; not ranked.",
        remedy="Put the cache before the random layer.",
        bars=True,
    ),
    "frozen_trace": Flag(
        mark="choice frozen by tracing",
        meaning="a layer draws a choice while it is traced and keeps it for the whole "
        "run, so another trial does other work; it is not ranked.",
        caution="a layer draws a choice while it is traced and keeps it for the whole "
        "run, so two trials time different work; not ranked.",
        remedy="Draw by keras.random or tf.random in the graph, not by Python's or "
        "NumPy's random.",
        bars=True,
    ),
    "cache_not_filled": Flag(
        mark="cache not filled",
        meaning="nothing came from the cache, so it is not ranked.",
        caution="the cache was never read to its end, so nothing came from it; not "
        "ranked.",
        remedy="Let nothing before the consumer cut an epoch short.",
        bars=True,
    ),
    "partly_timed": Flag(
        mark="partly timed",
        meaning="an epoch takes longer than was timed, and what was not timed does not "
        "take its usual share, so it is not ranked.",
        remedy="Time whole epochs: fewer examples, or --unit epoch where nothing is "
        "resampled.",
        bars=True,
    ),
    "inputs_changed": Flag(
        mark="data changed",
        meaning="some runs had other inputs than the first one, so it is not ranked.",
        caution="some runs had other inputs than the first, and do not count; not "
        "ranked.",
        remedy="Measure it anew on data that stays the same.",
        bars=True,
    ),
    "epochs_repeat": Flag(
        mark="epochs repeat",
        meaning="the augmentation draws the same every epoch.",
        caution="epochs repeat: the augmentation draws the same every epoch, since "
        "seeded tf.random operations in a map begin again with each epoch.",
        remedy="Draw by a Keras layer, keras.random with a SeedGenerator, or a "
        "tf.random.Generator.",
    ),
    "epochs_repeat_seeded": Flag(
        mark="epochs repeat once seeded",
        meaning="with a global seed, the augmentation would draw the same every epoch.",
        caution="epochs repeat as soon as a script sets a global seed "
        "(keras.utils.set_random_seed, tf.random.set_seed): the augmentation then "
        "draws the same every epoch.",
        remedy="Draw by a Keras layer, keras.random with a SeedGenerator, or a "
        "tf.random.Generator.",
    ),
    "masks_left": Flag(
        mark="labels left behind",
        meaning="the layers move the features, and labels with a height and a width "
        "stay as they are.",
        caution="layers move the features, and labels with a height and width stay.",
        remedy="Give images and masks to the layers together, as the dict images, "
        "segmentation_masks.",
    ),
    "output_is_input": Flag(
        mark="output equals input",
        meaning="a layer, or all of them, change none of the checked examples.",
        caution="output equals input on all checked examples (64 or more), of a layer "
        "or of all: was the layer adapted?",
        remedy="Adapt the layer in build; a layer that mixes examples needs a batch.",
    ),
    "draws_shared": Flag(
        mark="draws shared by a batch",
        meaning="a random layer draws some or all of its choices once for a whole "
        "batch; on single examples it draws them for each.",
        caution="a random layer draws once for a whole batch where examples by "
        "themselves have a draw each, so the order changes the augmentation.",
        remedy="Map before batch where every example needs a draw of its own.",
    ),
    "xla_off": Flag(
        mark="XLA switched off",
        meaning="one layer cannot be compiled, so the whole model was not.",
        caution="one layer cannot be compiled, which switched XLA off for the whole "
        "model.",
        remedy="Move that layer into the dataset, or compare with jit=off.",
    ),
}
NOT_RANKED = tuple(name for name, flag in FLAGS.items() if flag.bars)
UNSAID = "ramp_cut"  # on nearly every row, so it is said once and not marked
