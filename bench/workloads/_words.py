"""What TextVectorization must do, in plain Python."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

PUNCTUATION = re.compile(rb"[!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']")


def tokens(line: bytes, ngrams: int = 1) -> list[bytes]:
    """Words in lower case without punctuation, then the runs of 2 to `ngrams` words."""
    words = PUNCTUATION.sub(b"", line.lower()).split()
    runs = [
        b" ".join(words[start : start + length])
        for length in range(2, ngrams + 1)
        for start in range(len(words) - length + 1)
    ]
    return words + runs


def vocabulary(lines: Iterable[bytes], limit: int, ngrams: int = 1) -> dict[bytes, int]:
    """Place of each token, the most frequent first and ties in reverse alphabet.

    Args:
        lines: What the layer was adapted to.
        limit: Tokens kept; the layer's `max_tokens` less its special ones.
        ngrams: The longest run of words that is a token.
    """
    counts = Counter(
        itertools.chain.from_iterable(tokens(line, ngrams) for line in lines)
    )
    ranked = sorted(counts, key=lambda token: (counts[token], token), reverse=True)
    return {token: place for place, token in enumerate(ranked[:limit])}


def places(
    lines: Iterable[bytes], known: Mapping[bytes, int], length: int
) -> np.ndarray:
    """What `output_mode="int"` makes of lines, int64 `[lines, length]`.

    Places in the vocabulary from 2 on, 1 for unknown words, 0 for padding.
    """
    rows = []
    for line in lines:
        row = [known.get(token, -1) + 2 for token in tokens(line)][:length]
        rows.append(row + [0] * (length - len(row)))
    return np.array(rows, dtype=np.int64)


def counts(
    lines: Iterable[bytes], known: Mapping[bytes, int], ngrams: int
) -> np.ndarray:
    """How often each token is in each line, int64 `[lines, 1 + tokens]`.

    The first column counts the unknown ones.
    """
    rows = []
    for line in lines:
        row = np.zeros(len(known) + 1, dtype=np.int64)
        for token in tokens(line, ngrams):
            row[known.get(token, -1) + 1] += 1
        rows.append(row)
    return np.stack(rows)
