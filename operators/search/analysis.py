"""From text to terms: the one analysis of items and queries.

Words are folded to plain letters, lower-cased, freed of English stop words and stemmed (Snowball). Before that, two
spellings of one thing become one: `4gb` and `4 gb`, `17"` and `17 inch`, `women's` and `womens`.
"""

import re
import unicodedata

from tantivy import Filter, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

ANALYZER = "english"  # the name under which an index knows `text_analyzer()`
LONGEST_WORD = 60  # characters; a longer one is no word
_UNITS = (
    "gb|tb|mb|kb|ghz|mhz|hz|kw|kwh|watt|volt|mah|mm|cm|km|kg|mg|ml|lb|lbs|oz|inch|inches|feet|ft|yd|mp|dpi|rpm|"
    "pack|pcs|pc|pieces|piece|count|ct"
)
_UNIT = re.compile(rf"(\d)({_UNITS})\b")
_INCH = re.compile(r"(?<=\d)\s?(?:\"|”|''|inches\b)")
_APOSTROPHE = re.compile(r"(?<=\w)['’`](?=\w)")
_WORD = re.compile(r"[^\W_]+")


def normalised(text: str) -> str:
    """The text with one spelling of units and possessives, in lower case and of NFKC's plain forms."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = _APOSTROPHE.sub("", text)
    return _UNIT.sub(r"\1 \2", _INCH.sub(" inch", text))


def folded(text: str) -> str:
    """The text without accents, as the index folds it."""
    if text.isascii():
        return text
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))


def words_of(text: str) -> list[str]:
    """The words of a text in order, folded and not stemmed: what spelling and autocomplete know."""
    return [word for word in _WORD.findall(folded(normalised(text))) if len(word) <= LONGEST_WORD]


def text_analyzer() -> TextAnalyzer:
    """What the index makes of the words of `normalised` text."""
    return (
        TextAnalyzerBuilder(Tokenizer.regex(r"[\p{L}\p{N}]+"))
        .filter(Filter.remove_long(LONGEST_WORD + 1))
        .filter(Filter.lowercase())
        .filter(Filter.ascii_fold())
        .filter(Filter.stopword("english"))
        .filter(Filter.stemmer("english"))
        .build()
    )
