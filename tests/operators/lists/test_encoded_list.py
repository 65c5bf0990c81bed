"""The bytes of a list equal those of msgspec for the same `RecommendationList`."""

import msgspec
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from operators.configuration.shop_settings import ExperimentSettings
from operators.experiments.assignment import NO_ARM, Assigned, Experiments
from operators.experiments.effects import AS_SET
from operators.lists.encoded_list import JsonList, ListEncoder, Slate
from operators.lists.request import Request
from operators.records.contracts import Experiment, ListItem, Model, Reason, RecommendationList
from operators.shopper.user_state import digest
from tests.builders import NOW_MS, viewed

WITHOUT, HALVES = ExperimentSettings(), ExperimentSettings(name="split", arms={"a": 0.5, "b.1": 0.5})
DAY_MS = 86_400_000
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
numbers = st.integers(0, 2**32 - 1)
items = st.lists(
    st.builds(
        ListItem, texts, st.floats(allow_nan=False), st.integers(1, 50), st.builds(Reason, st.just("viewed"), texts)
    ),
    max_size=4,
)


@given(
    experiment=st.sampled_from((WITHOUT, HALVES)),
    model=st.builds(Model, texts, texts),
    request=st.builds(
        Request,
        texts,
        st.just(viewed("i1")),
        st.integers(-(2**63), 2**63 - 1),
        st.none() | texts,
        st.none() | texts,
    ),
    order=st.tuples(numbers, numbers),
    source=st.sampled_from(("model", "neighbours", "popular")),
    listed=items,
    lives_ms=st.integers(0, 100 * DAY_MS),
)
def test_the_bytes_are_those_of_msgspec(experiment, model, request, order, source, listed, lives_ms) -> None:  # type: ignore[no-untyped-def]
    experiments = Experiments(experiment)
    identity = f"{request.user_id}\0{order[0]}.{order[1]}\0{model.name}\0{model.version}\0{source}"
    expected = RecommendationList(
        recommendation_id=xxhash.xxh3_128_hexdigest(identity.encode()),
        user_id=request.user_id,
        epoch=order[0],
        version=order[1],
        event_time=request.event_time,
        event_id=request.event_id,
        generated_at=NOW_MS,
        model=model,
        experiment=experiments.of(request.user_id),
        source=source,
        items=listed,
        expires_at=NOW_MS + lives_ms,
        traceparent=request.traceparent,
    )
    slate = Slate(source, msgspec.json.encode(listed))
    encoded = ListEncoder(model, experiments, lives_ms).encode(request, order, slate, NOW_MS)
    assert encoded.value == msgspec.json.encode(expected)
    assert encoded.arm == (expected.experiment.arm if expected.experiment else NO_ARM)
    assert (encoded.source, encoded.state_digest) == (source, None)


def test_its_fields_are_those_of_the_contract() -> None:
    assert JsonList.__struct_encode_fields__ == RecommendationList.__struct_encode_fields__


def test_an_audited_list_carries_the_digest_of_its_state() -> None:
    request = Request("u1", viewed("i1"), NOW_MS)
    encoder = ListEncoder(Model("m", "1"), Experiments(WITHOUT), DAY_MS)
    encoded = encoder.encode(request, (1, 1), Slate("model", b"[]"), NOW_MS, with_digest=True)
    assert encoded.state_digest == digest(request.state)


def test_a_list_in_several_experiments_names_the_first_and_holds_all() -> None:
    request, encoder = Request("u1", viewed("i1"), NOW_MS), ListEncoder(Model("m", "1"), Experiments(WITHOUT), DAY_MS)
    both = Experiment("mix", "a"), Experiment("sizes", "b")
    encoded = encoder.encode(request, (1, 1), Slate("model", b"[]"), NOW_MS, assigned=Assigned(both, AS_SET))
    read = msgspec.json.decode(encoded.value, type=RecommendationList)
    assert (read.experiment, read.experiments, encoded.experiments, encoded.arm) == (both[0], both, both, "a")
