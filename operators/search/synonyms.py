"""Synonyms that the shop gives: a text file, one group a line.

`laptop, notebook` makes each word stand for the others; `tv => television, flat screen` widens the left side only.
`#` begins a comment.
"""

from collections.abc import Iterable
from pathlib import Path

from operators.errors import SearchError
from operators.search.analysis import words_of

MAX_GROUPS, MAX_BYTES = 20_000, 4 << 20
LONGEST = 4  # words of one expression

Expression = tuple[str, ...]


class Synonyms:
    """What else an expression of a query may be called."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        """Raises `SearchError` for a line that cannot be read."""
        self._others: dict[Expression, list[Expression]] = {}
        for number, line in enumerate(lines, start=1):
            text = line.partition("#")[0].strip()
            if number > MAX_GROUPS:
                raise SearchError(f"at most {MAX_GROUPS} lines of synonyms", "more", "keep those that shoppers use")
            if text:
                self._add(text, number)
        self.longest = max(map(len, self._others), default=0)

    def of(self, expression: Expression) -> list[Expression]:
        """The synonyms of an expression, in the order of the file."""
        return self._others.get(expression, [])

    def _add(self, text: str, number: int) -> None:
        left, arrow, right = text.partition("=>")
        froms, tos = _expressions(left, number), _expressions(right if arrow else left, number)
        if not froms or not tos or (not arrow and len(froms) < 2):
            next_step = "write `laptop, notebook` or `tv => television`"
            raise SearchError(f"two or more expressions in line {number} of the synonyms", repr(text[:100]), next_step)
        for expression in froms:
            others = self._others.setdefault(expression, [])
            others += [other for other in tos if other != expression and other not in others]


def read_synonyms(path: Path) -> Synonyms:
    """The synonyms of a file. Raises `SearchError`."""
    try:
        text = path.read_bytes()
        if len(text) > MAX_BYTES:
            raise SearchError(f"synonyms of at most {MAX_BYTES} bytes", f"{len(text)} bytes", "keep the used ones")
        return Synonyms(text.decode("utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise SearchError("a file of synonyms in UTF-8", f"{path}: {error}", "correct search.synonyms") from error


def _expressions(text: str, number: int) -> list[Expression]:
    expressions = [tuple(words_of(part)) for part in text.split(",")]
    if long := [expression for expression in expressions if len(expression) > LONGEST]:
        next_step = "shorten it"
        raise SearchError(
            f"expressions of at most {LONGEST} words in line {number}", " ".join(long[0])[:100], next_step
        )
    return [expression for expression in dict.fromkeys(expressions) if expression]
