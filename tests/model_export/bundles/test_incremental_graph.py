"""The incremental graph with the encoder cache says what the full pass says, whatever a shopper did and whoever is beside."""

import struct
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from model_export.bundles import graph as graphs
from model_export.bundles.compress import compressed_bundle
from model_export.bundles.export import export_bundle, run_graph
from model_export.data.sessions import session_examples
from model_export.models.encoders import build
from operators.errors import BundleError
from operators.model.bundle_files import MANIFEST, file_hash
from operators.model.encoder_cache import EncoderCache, Kept
from operators.model.model_bundle import GRAPH, INCREMENTAL, ModelBundle
from operators.model.scorer import Scorer
from operators.settings import ScorerSettings
from operators.shopper.features import Features, Vocabulary, features
from operators.shopper.state_layout import EMPTY, read_states
from operators.shopper.state_rings import add_step
from operators.shopper.user_state import id_hash

ITEMS, WIDTH, WINDOW, HOP = 150, 16, 12, 5
WORDS = Vocabulary([f"i{number}" for number in range(ITEMS)])
FORMS = {"weighted-sum with heads": ("weighted-sum", True), "gru alone": ("gru", False)}


def exported(folder: Path, encoder: str, *, heads: bool) -> ModelBundle:
    torch.manual_seed(3)
    drawing = np.random.default_rng(3)
    sessions = [[f"i{number}" for number in row] for row in drawing.integers(0, ITEMS, (30, 20))]
    train = session_examples(sessions, WORDS, WINDOW, HOP)
    model = build(encoder, ITEMS, WIDTH, 0.0, WINDOW, 16.0)
    torch.nn.init.normal_(model.kinds.weight, std=0.1)
    model.transitions.count(train)
    if not heads:
        model.silence()
    model.freeze()
    export_bundle(model, WORDS, train, train, folder, {"name": "small", "hop": HOP})
    return ModelBundle.load(folder)


@pytest.fixture(scope="module", params=FORMS)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    encoder, heads = FORMS[request.param]
    return exported(tmp_path_factory.mktemp("bundle") / "small", encoder, heads=heads)


def opened(bundle: ModelBundle, cache_mb: int = 1, check_every: int = 0) -> Scorer:
    return Scorer(bundle, ScorerSettings(provider="cpu", cache_mb=cache_mb, cache_check_every=check_every))


class Shoppers:
    """States that grow."""

    def __init__(self, count: int) -> None:
        self.records = [bytearray(EMPTY) for _ in range(count)]
        self.steps = [0] * count

    def act(self, user: int, item: int, kind: int) -> None:
        """A step; the model does not know items from `ITEMS` on."""
        self.steps[user] = add_step(self.records[user], self.steps[user], id_hash(f"i{item}"), 1, kind)
        struct.pack_into("<I", self.records[user], 8, self.steps[user])

    def erase(self, user: int) -> None:
        self.records[user], self.steps[user] = bytearray(EMPTY), 0

    def features(self, users: list[int]) -> Features:
        states = read_states([bytes(self.records[user]) for user in users])
        assert states["steps"].tolist() == [self.steps[user] for user in users]
        return features(states, WORDS, WINDOW, HOP)


def names(users: list[int]) -> list[str]:
    return [f"u{user}" for user in users]


def drawn(users: int, most: int, items: int = ITEMS) -> Shoppers:
    drawing, shoppers = np.random.default_rng(1), Shoppers(users)
    for user in range(users):
        for _ in range(drawing.integers(1, most + 1)):
            shoppers.act(user, int(drawing.integers(items)), int(drawing.integers(1, 7)))
    return shoppers


USERS = 6
# None: all is erased; else steps (item, kind), some of items that the model does not know
actions = st.none() | st.lists(st.tuples(st.integers(0, ITEMS + 9), st.integers(1, 6)), max_size=7)
turns = st.lists(
    st.tuples(st.sets(st.integers(0, USERS - 1), min_size=1), st.lists(actions, min_size=USERS)), max_size=15
)


@pytest.fixture(scope="module")
def cached(bundle: ModelBundle) -> Scorer:
    return opened(bundle)


@settings(deadline=None, max_examples=60)
@given(turns=turns)
def test_any_history_gets_the_list_of_the_full_pass(
    bundle: ModelBundle, cached: Scorer, turns: list[tuple[set[int], list[list[tuple[int, int]] | None]]]
) -> None:
    shoppers = Shoppers(USERS)
    assert cached.cache is not None
    cached.cache.clear()
    for asked, acted in turns:
        for user in range(USERS):
            if acted[user] is None:
                shoppers.erase(user)
            for item, kind in acted[user] or ():
                shoppers.act(user, item, kind)
        inputs = shoppers.features([*asked])
        scores, rows = cached.score(inputs, names([*asked]))
        expected, expected_rows = run_graph(bundle.folder / GRAPH, inputs.inputs())
        np.testing.assert_allclose(scores, expected, atol=1e-5, rtol=0)
        apart = np.diff(expected[:, :21], axis=1).max(axis=1) < -1e-5  # of nearly equal scores the order is free
        assert (rows[apart, :20] == expected_rows[apart, :20]).all()


def test_most_shoppers_go_on_from_kept_states(bundle: ModelBundle) -> None:
    scorer, shoppers, users = opened(bundle), drawn(40, 30), [*range(40)]
    for _ in range(HOP):
        for user in users:
            shoppers.act(user, user, 1)
        scorer.score(shoppers.features(users), names(users))
    assert scorer.cache is not None and scorer.cache.misses + scorer.cache.hits == 40 * HOP
    assert scorer.cache.misses <= 80, "the first request and the hop of each"


@pytest.mark.parametrize("items", [5, ITEMS])  # of few items most come again: their shares are sums of many steps
@pytest.mark.parametrize("cache_mb", [0, 1])
def test_scores_of_a_user_do_not_depend_on_who_is_beside(bundle: ModelBundle, cache_mb: int, items: int) -> None:
    """To the last bit: alone, and among 256 users with histories of all lengths, some of them kept."""
    together, alone = opened(bundle, cache_mb), opened(bundle, cache_mb)
    shoppers, users = drawn(256, 20, items), [*range(256)]
    for _ in range(2):
        scores, rows = together.score(shoppers.features(users), names(users))
        for user in range(0, 256, 17):
            own_scores, own_rows = alone.score(shoppers.features([user]), names([user]))
            assert own_scores[0].tobytes() == scores[user].tobytes() and (own_rows[0] == rows[user]).all()
        for user in users[::2]:
            shoppers.act(user, user % items, 2)


@pytest.mark.parametrize("items", [5, ITEMS])
def test_the_full_graph_too_gives_a_user_the_same_bits_alone(bundle: ModelBundle, items: int) -> None:
    older = {**bundle.manifest, "files": {k: v for k, v in bundle.manifest["files"].items() if k != INCREMENTAL}}
    scorer = opened(ModelBundle(**{**vars(bundle), "manifest": older}))
    shoppers, users = drawn(256, 20, items), [*range(256)]
    scores, _ = scorer.score(shoppers.features(users))
    assert scorer.cache is None
    for user in range(0, 256, 17):
        assert scorer.score(shoppers.features([user]))[0][0].tobytes() == scores[user].tobytes()


def test_a_wrong_state_is_found_and_all_are_forgotten(bundle: ModelBundle, caplog: pytest.LogCaptureFixture) -> None:
    scorer, shoppers, users = opened(bundle, check_every=8), drawn(4, 6), [*range(4)]
    right, _ = scorer.score(shoppers.features(users), names(users))
    cache = scorer.cache
    assert cache is not None
    cache._states += 1
    found, _ = scorer.score(shoppers.features(users), names(users))
    np.testing.assert_allclose(found, right, atol=1e-5)
    assert cache.check_failures == 1 and "the cache is emptied" in caplog.text
    scorer.score(shoppers.features(users), names(users))
    assert (cache.check_failures, cache.hits) == (1, 4)


def test_a_right_state_passes_the_check(bundle: ModelBundle) -> None:
    scorer, shoppers, users = opened(bundle, check_every=1), drawn(4, 6), [*range(4)]
    for _ in range(5):
        scorer.score(shoppers.features(users), names(users))
    assert scorer.cache is not None and (scorer.cache.check_failures, scorer.cache.hits) == (0, 16)


def test_an_incremental_graph_that_goes_on_to_nan_is_refused(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = EncoderCache.read

    def broken(cache: EncoderCache, kept: Kept) -> tuple[np.ndarray, np.ndarray]:
        states, keys = read(cache, kept)
        return (np.full_like(states, np.nan), keys) if kept.known.any() else (states, keys)

    monkeypatch.setattr(EncoderCache, "read", broken)
    with pytest.raises(BundleError, match=r"of the incremental graph.*came nan"):
        Scorer(bundle, ScorerSettings(provider="cpu"))


def test_an_incremental_graph_of_other_weights_is_refused(bundle: ModelBundle, tmp_path: Path) -> None:
    for file in bundle.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    model = onnx.load(str(tmp_path / INCREMENTAL))
    recurrent = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("gru.recurrent"))
    recurrent.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(recurrent) * 1.5, recurrent.name))
    onnx.save(model, str(tmp_path / INCREMENTAL))
    with pytest.raises(BundleError, match="sha256"):
        opened(ModelBundle.load(tmp_path))
    manifest = (
        (tmp_path / MANIFEST)
        .read_text()
        .replace(bundle.manifest["files"][INCREMENTAL], file_hash(tmp_path / INCREMENTAL))
    )
    (tmp_path / MANIFEST).write_text(manifest)
    with pytest.raises(BundleError, match="of the incremental graph"):
        opened(ModelBundle.load(tmp_path))
    (tmp_path / INCREMENTAL).write_bytes((tmp_path / GRAPH).read_bytes())
    manifest = manifest.replace(
        ModelBundle.load(tmp_path).manifest["files"][INCREMENTAL], file_hash(tmp_path / INCREMENTAL)
    )
    (tmp_path / MANIFEST).write_text(manifest)
    with pytest.raises(BundleError, match="an incremental graph"):
        opened(ModelBundle.load(tmp_path))


def test_half_precision_keeps_the_graph_and_int8_does_not(bundle: ModelBundle, tmp_path: Path) -> None:
    for precision, cached in (("float16", True), ("int8", False)):
        compressed_bundle(bundle.folder, tmp_path / precision, precision)
        scorer = opened(ModelBundle.load(tmp_path / precision))
        assert (scorer.cache is not None) == cached


@pytest.mark.parametrize("encoder", ["pair-sum", "attention"])
def test_other_encoders_have_none(encoder: str, tmp_path: Path) -> None:
    graphs.export_incremental(build(encoder, 20, 8, 0.0, 6, 16.0), tmp_path / INCREMENTAL)
    assert not (tmp_path / INCREMENTAL).exists()


def test_a_large_catalogue_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "MOST_ROWS", 20)
    graphs.export_incremental(build("gru", 20, 8, 0.0, 6, 16.0), tmp_path / INCREMENTAL)
    assert not (tmp_path / INCREMENTAL).exists()
