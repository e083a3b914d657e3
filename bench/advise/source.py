"""Edits of a user's source text, with comments and layout left as they are.

LibCST finds the calls by the places that the recorder saw. An edit then replaces just
the characters that it changes. An edit that could change more than the pipeline is
refused with `CannotEdit`, and the user gets the line and what to write there.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst
from libcst import metadata

from bench.run.user_pipeline import Stage


class CannotEdit(Exception):
    """The source cannot be edited safely; the text says why."""


@dataclass(frozen=True)
class Link:
    """A link is one method call of a chain, in the source.

    Attributes:
        node: The call.
        start: Where the link begins, behind the call's receiver; an offset.
        end: Behind the closing parenthesis; an offset.
        statement: The statement that holds the call.
        target: The name that the statement assigns; empty if it assigns none.
        first: Whether the chain begins with a name, and this link follows it.
        last: Whether the link ends the statement's chain.
    """

    node: cst.Call
    start: int
    end: int
    statement: cst.CSTNode
    target: str
    first: bool
    last: bool


class Source:
    """A source text in which calls are found by their place."""

    def __init__(self, text: str) -> None:
        """Parse the text.

        Raises:
            CannotEdit: It is not valid Python.
        """
        self.text = text
        try:
            wrapper = metadata.MetadataWrapper(
                cst.parse_module(text), unsafe_skip_copy=True
            )
        except cst.ParserSyntaxError as error:
            raise CannotEdit(f"not valid Python: {error.message}") from error
        self._lines = text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._ranges = wrapper.resolve(metadata.PositionProvider)
        self._parents = wrapper.resolve(metadata.ParentNodeProvider)
        self._nodes = list(self._ranges)
        self._calls = {
            (position.end.line, position.end.column): node
            for node, position in self._ranges.items()
            if isinstance(node, cst.Call)
        }
        self._module = wrapper.module
        self.tensorflow = _alias(wrapper.module)

    @property
    def autotune(self) -> str:
        """How this source spells AUTOTUNE; its value where TensorFlow has no name."""
        return f"{self.tensorflow}.data.AUTOTUNE" if self.tensorflow else "-1"

    def link(self, stage: Stage) -> Link:
        """Return the call that made a stage.

        Raises:
            CannotEdit: The call is not in this text, or was reached more than once.
        """
        if stage.calls > 1:
            raise CannotEdit(f"line {stage.line} makes more than one stage")
        line = self._lines[stage.end_line - 1] if stage.end_line else ""
        column = len(line.encode()[: stage.end_column].decode(errors="ignore"))
        node = self._calls.get((stage.end_line, column))
        if node is None:
            raise CannotEdit(f"no call ends on line {stage.end_line}")
        _, end = self._span(node)
        receiver = node.func.value if isinstance(node.func, cst.Attribute) else None
        start = self._outer_end(receiver) if receiver else self._span(node)[0]
        statement = self._statement(node)
        target, chain = _assigned(statement)
        return Link(
            node=node,
            start=start,
            end=end,
            statement=statement,
            target=target,
            first=isinstance(receiver, cst.Name),
            last=chain is node,
        )

    def with_argument(self, link: Link, name: str, value: str) -> str:
        """Return the text with an argument of a call set, by name.

        Raises:
            CannotEdit: The call unpacks arguments, so that nobody sees what it has.
        """
        arguments = link.node.args
        if any(argument.star for argument in arguments):
            raise CannotEdit("the call unpacks its arguments")
        for argument in arguments:
            if argument.keyword and argument.keyword.value == name:
                return self._replaced(*self._span(argument.value), value)
        if not arguments:
            return self._replaced(link.end - 1, link.end - 1, f"{name}={value}")
        end = self._outer_end(arguments[-1].value)
        return self._replaced(end, end, f", {name}={value}")

    def with_positional(self, link: Link, place: int, value: str) -> str:
        """Return the text with the value of a positional argument replaced."""
        argument = link.node.args[place]
        return self._replaced(*self._span(argument.value), value)

    def with_method(self, link: Link, name: str, arguments: str) -> str:
        """Return the text with a method renamed and arguments added."""
        if any(argument.star for argument in link.node.args):
            raise CannotEdit("the call unpacks its arguments")
        start, end = self._span(link.node.func.attr)
        last = self._outer_end(link.node.args[-1].value)
        text = self.text
        return f"{text[:start]}{name}{text[end:last]}, {arguments}{text[last:]}"

    def with_call(self, link: Link, call: str) -> str:
        """Return the text with a call such as `.cache()` put behind a link.

        In a chain with a line for each link, the call gets a line of its own.
        """
        lead = self.text[link.start : link.end]
        before = lead[: lead.index(".")] if "." in lead else ""
        line = bisect.bisect_right(self._starts, link.end - 1) - 1
        line_end = self._starts[line] + len(self._lines[line].rstrip("\r"))
        rest = self.text[link.end : line_end].strip()
        if "\n" in before and (not rest or rest.startswith("#")):
            indent = before.rpartition("\n")[2]
            newline = "\r\n" if self._lines[line].endswith("\r") else "\n"
            return self._replaced(line_end, line_end, f"{newline}{indent}{call}")
        return self._replaced(link.end, link.end, call)

    def without(self, links: Sequence[Link]) -> str:
        """Return the text without some links, and without their comments.

        Raises:
            CannotEdit: A block would be empty.
        """
        text = self.text
        for start, end in sorted(map(self._extent, links), reverse=True):
            text = text[:start] + text[end:]
        return text

    def _extent(self, link: Link) -> tuple[int, int]:
        """What goes with a link: its statement, if that has nothing else."""
        if not (link.first and link.last):
            return self._with_comment(link)
        line = self._line_statement(link)
        if not _rebinds(line, link.target):
            return self._with_comment(link)
        if len(self._parents[line].body) == 1:
            raise CannotEdit("the call is all that its block has")
        return self._whole_lines(line)

    def count_in_function(self, stage: Stage, name: str) -> int:
        """Count how often a stage's function names something; 0 if it is not here."""
        function = self._function(stage)
        return _uses(function, name) if function else 0

    def renamed_in_function(self, stage: Stage, old: str, new: str) -> str:
        """Return the text with a name replaced in a stage's function.

        Raises:
            CannotEdit: The function or the name is used more than once.
        """
        function = self._function(stage)
        if function is None or _uses(function, old) != 1:
            raise CannotEdit(f"{old} is not named just once in the function")
        if _uses(self._module, function.name.value) != 2:
            raise CannotEdit(f"{function.name.value} is used elsewhere too")
        (node,) = (one for one in _names(function) if one.value == old)
        return self._replaced(*self._span(node), new)

    def _function(self, stage: Stage) -> cst.FunctionDef | None:
        """The definition of a stage's function, by its name and its line."""
        for node, position in self._ranges.items():
            if isinstance(node, cst.FunctionDef):
                place = f"{node.name.value}, line {position.start.line}"
                if place == stage.function:
                    return node
        return None

    def moved(self, links: Sequence[Link], behind: Link) -> str:
        """Return the text with links moved behind a later one, in their order.

        Raises:
            CannotEdit: A name between the two is used for something else, or a comment
                would lose what it explains.
        """
        if all(link.statement is behind.statement for link in links):
            if _one_chain([*links, behind]):
                return self._moved_in_chain(links, behind)
            raise CannotEdit("the calls are not links of one chain")
        return self._moved_statements(links, behind)

    def _moved_in_chain(self, links: Sequence[Link], behind: Link) -> str:
        """Links that follow one another are one piece of text, with their comments."""
        pieces = [self._with_comment(link) for link in links]
        insert = self._with_comment(behind)[1]
        text, parts, place = self.text, [], 0
        for start, end in pieces:
            parts.append(text[place:start])
            place = end
        parts += [text[place:insert], *(text[a:b] for a, b in pieces), text[insert:]]
        return "".join(parts)

    def _with_comment(self, link: Link) -> tuple[int, int]:
        """A link with the comment behind it on its line, where links have own lines."""
        line = bisect.bisect_right(self._starts, link.end - 1) - 1
        line_end = self._starts[line] + len(self._lines[line].rstrip("\r"))
        rest = self.text[link.end : line_end].strip()
        lead, _, _ = self.text[link.start : link.end].partition(".")
        comments = rest.startswith("#") and "\n" in lead
        own, newline, _ = lead.partition("\n")
        start = link.start + (len(own.rstrip("\r")) if newline else 0)
        return start, line_end if comments else link.end

    def _moved_statements(self, links: Sequence[Link], behind: Link) -> str:
        """Move calls to a later statement of the same name.

        Statements `ds = ds.map(f)` move whole, with their comments. Of another
        statement the calls at its end are moved.
        """
        target = links[0].target
        statements = list(dict.fromkeys(map(self._line_statement, links)))
        goal = self._line_statement(behind)
        body = getattr(self._parents[goal], "body", None)
        if not isinstance(body, Sequence) or any(s not in body for s in statements):
            raise CannotEdit("the calls are in different blocks")
        first, later = statements[0], body[body.index(statements[0]) + 1 :]
        between = later[: later.index(goal)] if goal in later else [goal]
        used = not all(_rebinds(one, target) for one in between)
        if not target or used or _uses(first, target) - _rebinds(first, target) != 1:
            raise CannotEdit(f"{target or 'the dataset'} is used between the two calls")
        if not _begins_with(goal, target):
            raise CannotEdit("the later call does not begin with the same name")
        whole = all(link.first and link.last for link in links)
        if whole and all(_rebinds(one, target) for one in statements):
            if _rebinds(goal, target) and behind.last:
                return self._moved_lines(statements, goal)
            return self._joined(links, statements, behind)
        if len(statements) > 1 or not (links[-1].last and _one_chain(links)):
            raise CannotEdit("the calls are in the middle of longer statements")
        self._demand_no_comment(statements)
        start, end = links[0].start, links[-1].end
        calls, text = self.text[start:end], self.text
        if links[0].first and behind.first and behind.last:
            later_call = text[behind.start : behind.end]
            text = self._replaced(behind.start, behind.end, calls)
            return text[:start] + later_call + text[end:]
        text = self._replaced(behind.end, behind.end, calls)
        return text[:start] + text[end:]

    def _moved_lines(self, statements: list, goal: cst.CSTNode) -> str:
        spans = [self._whole_lines(one) for one in statements]
        insert = self._whole_lines(goal)[1]
        text, parts, place = self.text, [], 0
        for start, end in spans:
            parts.append(text[place:start])
            place = end
        between = text[place:insert]
        if not between.endswith("\n"):
            between += "\n"
        moved = "".join(text[a:b] for a, b in spans)
        return "".join([*parts, between, moved, text[insert:]])

    def _joined(self, links: Sequence[Link], statements: list, behind: Link) -> str:
        """Statements go, and their calls stand behind a call of a later statement."""
        self._demand_no_comment(statements)
        calls = "".join(self.text[link.start : link.end] for link in links)
        text = self._replaced(behind.end, behind.end, calls)
        for one in reversed(statements):
            start, end = self._whole_lines(one)
            text = text[:start] + text[end:]
        return text

    def _demand_no_comment(self, statements: list) -> None:
        for one in statements:
            start, end = self._whole_lines(one)
            if "#" in self.text[start:end]:
                raise CannotEdit("a comment would lose what it explains")

    def _whole_lines(self, statement: cst.CSTNode) -> tuple[int, int]:
        """The lines of a statement, with comments right above it, as offsets."""
        position = self._ranges[statement]
        first = position.start.line
        lines = getattr(statement, "leading_lines", ())
        for line in reversed(lines):
            if line.comment is None:
                break
            first -= 1
        return self._starts[first - 1], min(
            self._starts[position.end.line], len(self.text)
        )

    def _line_statement(self, link: Link) -> cst.CSTNode:
        node: cst.CSTNode = link.statement
        while not isinstance(node, cst.SimpleStatementLine):
            node = self._parents[node]
        if len(node.body) > 1:
            raise CannotEdit("a line has more than one statement")
        return node

    def _statement(self, node: cst.CSTNode) -> cst.CSTNode:
        while not isinstance(node, cst.BaseSmallStatement | cst.BaseStatement):
            node = self._parents[node]
        return node

    def _span(self, node: cst.CSTNode) -> tuple[int, int]:
        position = self._ranges[node]
        return (
            self._starts[position.start.line - 1] + position.start.column,
            self._starts[position.end.line - 1] + position.end.column,
        )

    def _outer_end(self, node: cst.CSTNode) -> int:
        """The end of an expression with its own parentheses, as an offset."""
        end = self._span(node)[1]
        for _ in getattr(node, "rpar", ()):
            end = self.text.index(")", end) + 1
        return end

    def _replaced(self, start: int, end: int, replacement: str) -> str:
        return self.text[:start] + replacement + self.text[end:]


def _alias(module: cst.Module) -> str:
    """The name of TensorFlow in a module's imports; empty if it has none."""
    for line in module.body:
        for one in getattr(line, "body", ()) if hasattr(line, "body") else ():
            if not isinstance(one, cst.Import):
                continue
            for alias in one.names:
                if alias.name.value == "tensorflow":
                    return alias.asname.name.value if alias.asname else "tensorflow"
    return ""


def _assigned(statement: cst.CSTNode) -> tuple[str, cst.CSTNode | None]:
    """The one name that a statement assigns, empty if none, and the value."""
    if isinstance(statement, cst.Return):
        return "", statement.value
    if not isinstance(statement, cst.Assign) or len(statement.targets) != 1:
        return "", None
    target = statement.targets[0].target
    name = target.value if isinstance(target, cst.Name) else ""
    return name, statement.value


def _root(node: cst.CSTNode | None) -> str:
    """The name with which a chain of calls begins; empty where it is no name."""
    while isinstance(node, cst.Call | cst.Attribute):
        node = node.func if isinstance(node, cst.Call) else node.value
    return node.value if isinstance(node, cst.Name) else ""


def _one_chain(links: Sequence[Link]) -> bool:
    """Whether links are calls upon one another in one expression."""
    for earlier, later in itertools.pairwise(links):
        node = later.node
        while node is not earlier.node:
            if not (
                isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute)
            ):
                return False
            node = node.func.value
    return True


def _rebinds(line: cst.CSTNode, target: str) -> bool:
    """Whether a line is `target = target...` and uses the name nowhere else."""
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        return False
    name, value = _assigned(line.body[0])
    return name == target and _root(value) == target and _uses(line, target) == 2


def _begins_with(line: cst.CSTNode, target: str) -> bool:
    """Whether a line's chain begins with a name that it uses nowhere else."""
    name, value = _assigned(line.body[0])
    own = 2 if name == target else 1
    return value is not None and _root(value) == target and _uses(line, target) == own


def _uses(node: cst.CSTNode, name: str) -> int:
    return sum(one.value == name for one in _names(node))


def _names(node: cst.CSTNode) -> Iterator[cst.Name]:
    """Yield every name within a node."""
    if isinstance(node, cst.Name):
        yield node
    for child in node.children:
        yield from _names(child)
