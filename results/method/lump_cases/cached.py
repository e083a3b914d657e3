"""A slow map whose results a cache holds: the first epoch fills it."""

from results.method.lump_cases import _stalls

EXAMPLES = 4_000


def examples(rng, count):
    return _stalls.stragglers(count, 1000)


def build(examples):
    return _stalls.Stall()


def check(batch, output):
    _stalls.same(batch, output)
