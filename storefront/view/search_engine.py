"""The search engine that the settings and the bundle make."""

from operators.model.model_bundle import ModelBundle
from operators.search.engine import SearchEngine
from operators.search.synonyms import Synonyms, read_synonyms
from operators.search.vectors.sentence_encoder import SentenceEncoder
from operators.search.vectors.text_encoder import TextEncoder, bundle_encoder
from operators.settings import Settings


def new_engine(settings: Settings, bundle: ModelBundle | None) -> SearchEngine:
    """An engine without items. Its vectors come from the encoder of `search.encoder`, else from the bundle's query tower,
    if there is one. Raises `SearchError`."""
    file, folder = settings.search.synonyms_file(settings.resolve), settings.search.encoder_folder(settings.resolve)
    encoder: TextEncoder | None = bundle_encoder(bundle) if folder is None else SentenceEncoder(folder)
    return SearchEngine(encoder, Synonyms() if file is None else read_synonyms(file))
