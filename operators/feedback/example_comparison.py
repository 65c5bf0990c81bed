"""Compares the examples on a topic with those that must be there: for tests and audits."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from operators.feedback.example_writer import organic_id
from operators.feedback.final_examples import final_examples
from operators.records.contracts import Example

Key = tuple[str, str]  # a list and an item; of an organic example "", and event and item
Verdict = Literal["ok", "broken", "unknown"]


@dataclass
class Comparison:
    """What differs, by (list, item). `unfinished`: revisions that lack an earlier one."""

    lost: set[Key] = field(default_factory=set)
    twice: set[Key] = field(default_factory=set)
    phantoms: set[Key] = field(default_factory=set)
    unfinished: set[Key] = field(default_factory=set)
    mislabelled: dict[Key, tuple[str, str]] = field(default_factory=dict)
    read_to_end: bool = True

    @property
    def verdict(self) -> Verdict:
        """An end that was not read may hold what is missing, and more."""
        if not self.read_to_end:
            return "unknown"
        return "broken" if self.lost or self.twice or self.phantoms or self.unfinished or self.mislabelled else "ok"


def compare(
    examples: Sequence[Example], expected: Mapping[Key, str], organic_keys: Mapping[str, Key], *, read_to_end: bool
) -> Comparison:
    """`expected`: final labels; `organic_keys`: id of an organic example -> its key (`keys_of`)."""
    found = Comparison(read_to_end=read_to_end)
    revisions = defaultdict[str, list[int]](list)
    ids = defaultdict[Key, set[str]](set)
    for example in examples:
        key = _key(example, organic_keys)
        revisions[example.example_id].append(example.revision)
        ids[key].add(example.example_id)
        if key not in expected:
            found.phantoms.add(key)
    for example_id, example in final_examples(examples).items():
        key, numbers = _key(example, organic_keys), revisions[example_id]
        if len(set(numbers)) < len(numbers) or len(ids[key]) > 1:
            found.twice.add(key)
        if set(numbers) != set(range(max(numbers) + 1)):
            found.unfinished.add(key)
        if expected.get(key, example.label) != example.label:
            found.mislabelled[key] = expected[key], example.label
    found.lost = expected.keys() - ids.keys()
    return found


def keys_of(expected: Mapping[Key, str], user: str) -> dict[str, Key]:
    """Id of each organic example that is expected -> its key."""
    return {organic_id(user, *name.split(" ")): ("", name) for list_id, name in expected if not list_id}


def _key(example: Example, organic_keys: Mapping[str, Key]) -> Key:
    if example.organic:
        return organic_keys.get(example.example_id, ("", example.example_id))
    return example.recommendation_id or "", example.item_id
