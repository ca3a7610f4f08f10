"""The words of the code: a class in one module, a module name in one package, and no private dialect."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "alpaca_focus"
SHARED_MODULE_NAMES = {"__init__", "settings", "errors", "models", "events"}
"""Names that may stand in several packages: each of these is understood only together with its package."""
NAMES_OF_THE_OUTSIDE = {"tell", "tell_app"}
"""Names that users type or that stand on the wire: the command `tell` and its path in the REST API."""
BANNED_IN_NAMES = (
    "told", "tell", "tells", "telling", "said", "saying", "heard", "lookout", "keeper", "follower", "desk", "interlude",
    "interludes", "squeeze", "sieve", "loan", "addressees", "circumstances", "aside", "examining", "checkup", "whoever",
)  # fmt: skip
BANNED_IN_PROSE = {
    "tell": r"\b(told|tells?|telling)\b",
    "say": r"\b(says?|said|saying)\b",
    "hear": r"\bhear[ds]?\b",
    "of it": r"\bof it\b",
    "that which": r"\bthat which\b",
    "whoever": r"\bwho(m)?ever\b",
    "look at the observatory": r"\b(lookouts?|one look|next look|looks? at the observatory)\b",
    "private nouns": r"\b(keeper|interludes?|small moves?|night book|way home|one job|addressees?|squeeze|sieve)\b",
    "the filter in the light": r"\bfilter in the light\b",
    "meters": r"\bmeters\b",
}


def modules() -> list[Path]:
    """Return every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def defined_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield each name that the code defines, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def words_of(name: str) -> set[str]:
    """Return the words that a name is made of, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield each docstring and comment with its line; code in backticks counts as code."""
    for node in ast.walk(ast.parse(source)):
        # A string that stands alone is a docstring, also below an attribute.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, re.sub(r"`[^`]*`", "", node.value.value)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], re.sub(r"`[^`]*`", "", token.string)


def offences(source: str) -> Iterator[tuple[int, str]]:
    """Yield each banned word in the names and the prose of one module, with its line."""
    for line, name in defined_names(ast.parse(source)):
        if name not in NAMES_OF_THE_OUTSIDE:
            for word in words_of(name) & set(BANNED_IN_NAMES):
                yield line, f"{name}: {word}"
    for line, text in prose(source):
        for what, pattern in BANNED_IN_PROSE.items():
            for found in re.finditer(pattern, text, re.IGNORECASE):
                yield line, f"{found.group()} ({what})"


def test_a_class_name_stands_in_one_module_only() -> None:
    where: dict[str, set[str]] = defaultdict(set)
    for path in modules():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                where[node.name].add(str(path.relative_to(ROOT)))
    assert not {name: sorted(paths) for name, paths in where.items() if len(paths) > 1}


def test_a_module_name_stands_in_one_package_only() -> None:
    where: dict[str, list[str]] = defaultdict(list)
    for path in modules():
        if path.stem not in SHARED_MODULE_NAMES:
            where[path.stem].append(str(path.parent.relative_to(ROOT)))
    assert not {name: packages for name, packages in where.items() if len(packages) > 1}


def test_no_private_words_in_names_and_docstrings() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {what}" for path in modules() for line, what in offences(path.read_text())
    ]
    assert not found, "Words that a newcomer cannot look up:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def told_image(): pass", "told_image: told"),
        ("class RefocusKeeper: pass", "RefocusKeeper: keeper"),
        ("self.is_to_be_told = 1", "is_to_be_told: told"),
        ('"""Return what the camera says."""', "says (say)"),
        ("x = 1  # The keeper decides.", "keeper (private nouns)"),
        ('class A:\n    b = 1\n    """Most of it."""', "of it (of it)"),
    ],
)
def test_a_banned_word_is_found(source: str, expected: str) -> None:
    assert expected in [what for _, what in offences(source)]


@pytest.mark.parametrize(
    "source", ["TELESCOPE = 1", '"""The command `tell image`."""', "def tell(): pass", "essay = 1"]
)
def test_other_words_are_not_taken_for_banned_ones(source: str) -> None:
    assert not list(offences(source))
