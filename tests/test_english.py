"""Docstrings are sentences, and none uses the words that this suite avoids."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from bench.catalog import ROOT

FILES = [ROOT / "run_bench.py", *sorted((ROOT / "bench").rglob("*.py"))]
AVOIDED = re.compile(r"\b(told|said)\b", re.IGNORECASE)
ENDS = (".", "?", ":", "!", "`")


def shown(file: Path) -> str:
    return str(file.relative_to(ROOT))


def docstrings(file: Path) -> list[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    texts = (ast.get_docstring(node) for node in nodes if isinstance(node, kinds))
    return [text for text in texts if text]


def comments(file: Path) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(file.read_text("utf-8")).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_a_docstring_begins_with_a_sentence(file: Path) -> None:
    """Its first paragraph begins with a capital and ends with a full stop."""
    for text in docstrings(file):
        first = text.partition("\n\n")[0].strip()
        assert first[0].isupper() or not first[0].isalpha(), first
        assert first.endswith(ENDS), first
        assert len(first.split()) > 1, f"a fragment: {first}"


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_docstrings_and_comments_use_plain_words(file: Path) -> None:
    if file.parent.name == "workloads":  # caches of inputs are keyed by their text
        pytest.skip("the text of a workload identifies its inputs")
    for text in (*docstrings(file), *comments(file)):
        assert not AVOIDED.search(text), text
