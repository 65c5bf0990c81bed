"""`liveshelf search`: measures the search of a catalogue, and makes an encoder for it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from liveshelf.terminal.extras import need
from liveshelf.terminal.output import JsonFlag, machine, notice, people, table
from operators.errors import SearchError
from operators.settings import Settings, load_settings

if TYPE_CHECKING:
    from operators.records.contracts import CatalogueItem
    from operators.search.vectors.text_encoder import TextEncoder

app = typer.Typer(no_args_is_help=True)


@app.command()
def evaluate(
    catalogue: Path = typer.Option(..., help="JSON lines of catalogue records."),
    judgments: Path = typer.Option(..., help='JSON lines of {"query", "item_id", "grade"}, grades 0 to 1.'),
    encoder: Path = typer.Option(None, help="Folder of `liveshelf search encoder`; default: search.encoder."),
    bundle: Path = typer.Option(None, help="Or: a bundle whose query tower makes the text vectors."),
    synonyms: Path = typer.Option(None, help="Synonyms of the shop; default: search.synonyms."),
    json: bool = JsonFlag,
) -> None:
    """Ranks all items for each judged query: by substrings of the title, by words (bm25), by text vectors, and fused.

    Prints ndcg@10, recall@100 (of grades of 0.1 or more) and zero (queries that found nothing). `text` is null without an
    encoder.

    Example: liveshelf search evaluate --catalogue catalogue.jsonl --judgments judgments.jsonl --json
    """
    from operators.search.engine import SearchEngine
    from operators.search.quality.evaluation import MEASURES, read_judgments
    from operators.search.quality.evaluation import evaluate as evaluated
    from operators.search.synonyms import Synonyms, read_synonyms

    settings = load_settings()
    judged, items = read_judgments(judgments), _items(catalogue, settings)
    texts = _encoder(settings, encoder, bundle)
    file = synonyms or settings.search.synonyms_file(settings.resolve)
    engine = SearchEngine(texts, read_synonyms(file) if file else Synonyms())
    with people.status(f"{len(items)} items, {len(judged)} queries"):
        engine.apply(items)
        quality = evaluated(engine, items, judged)
    if texts is None:
        notice("note", "bold", "text is null: no encoder (--encoder, or --bundle of one with a query tower)")
    answer = {name: None if one is None else one.as_json() for name, one in quality.items()}
    if json:
        machine(answer)
        return
    rows = [(name, *(_shown(one, measure) for measure in MEASURES)) for name, one in answer.items()]
    table(f"{len(judged)} queries, {len(items)} items", ("search", *MEASURES), rows)


@app.command()
def encoder(
    model: Path = typer.Option(..., help="Folder with config.json, model.safetensors and tokenizer.json."),
    out: Path = typer.Option(..., help="Folder for encoder.onnx and tokenizer.json."),
) -> None:
    """Makes a search encoder of a pre-trained BERT sentence encoder, in int8 (extra `train` here; `text` where it serves).

    Example: liveshelf search encoder --model all-MiniLM-L6-v2 --out models/search-encoder
    """
    need("onnx")
    from model_export.bundles.sentence_graph import export_encoder

    export_encoder(model, out)
    people.print(
        f"{out}: set search.encoder to it, or give it to `liveshelf search evaluate --encoder`", soft_wrap=True
    )


def _items(file: Path, settings: Settings) -> "list[CatalogueItem]":
    """The newest record of each item; bad lines are left out and named."""
    from operators.records.record_file import catalogue_file

    records = catalogue_file(file, settings.events)
    items = {item.item_id: item for item in records}
    if left_out := records.left_out():
        notice("warning", "bold yellow", left_out)
    records.refuse_mostly_bad()
    return [*items.values()]


def _encoder(settings: Settings, folder: Path | None, bundle: Path | None) -> "TextEncoder | None":
    from operators.model.model_bundle import ModelBundle
    from operators.search.vectors.sentence_encoder import SentenceEncoder
    from operators.search.vectors.text_encoder import bundle_encoder

    if folder is not None and bundle is not None:
        raise SearchError("--encoder or --bundle", "both", "leave one out")
    if bundle is not None:
        return bundle_encoder(ModelBundle.load(bundle))
    folder = folder or settings.search.encoder_folder(settings.resolve)
    return None if folder is None else SentenceEncoder(folder)


def _shown(measures: dict[str, Any] | None, name: str) -> str:
    value = None if measures is None else measures[name]
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
