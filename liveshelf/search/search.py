"""`liveshelf search`: measures the search of a catalogue."""

from pathlib import Path
from typing import Any

import typer

from liveshelf.terminal.extras import need
from liveshelf.terminal.output import JsonFlag, machine, notice, people, table
from operators.settings import load_settings

app = typer.Typer(no_args_is_help=True)


@app.callback()
def search() -> None:
    """Measures the search of a catalogue."""


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
    from operators.errors import SearchError
    from operators.model.model_bundle import ModelBundle
    from operators.records.record_file import catalogue_file
    from operators.search.engine import SearchEngine
    from operators.search.quality.evaluation import evaluate as evaluated
    from operators.search.quality.evaluation import read_judgments
    from operators.search.synonyms import Synonyms, read_synonyms
    from operators.search.vectors.sentence_encoder import SentenceEncoder
    from operators.search.vectors.text_encoder import TextEncoder, bundle_encoder

    settings = load_settings()
    judged = read_judgments(judgments)
    records = catalogue_file(catalogue, settings.events)
    items = [*{item.item_id: item for item in records}.values()]
    if left_out := records.left_out():
        notice("warning", "bold yellow", left_out)
    records.refuse_mostly_bad()
    if bundle is not None and encoder is not None:
        raise SearchError("--encoder or --bundle", "both", "leave one out")
    folder = encoder or settings.search.encoder_folder(settings.resolve)
    texts: TextEncoder | None = bundle_encoder(ModelBundle.load(bundle)) if bundle is not None else None
    if bundle is None and folder is not None:
        texts = SentenceEncoder(folder)
    path = synonyms or settings.search.synonyms_file(settings.resolve)
    engine = SearchEngine(texts, read_synonyms(path) if path else Synonyms())
    with people.status(f"{len(items)} items, {len(judged)} queries"):
        engine.apply(items)
        quality = evaluated(engine, items, judged)
    if texts is None:
        notice("note", "bold", "text is null: no encoder (--encoder, or --bundle of one with a query tower)")
    answer: dict[str, Any] = {name: None if one is None else one.as_json() for name, one in quality.items()}
    if json:
        machine(answer)
        return
    names = ("ndcg@10", "recall@100", "zero")
    rows = [(name, *(_shown(one, measure) for measure in names)) for name, one in answer.items()]
    table(f"{len(judged)} queries, {len(items)} items", ("search", *names), rows)


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


def _shown(measures: dict[str, Any] | None, name: str) -> str:
    value = None if measures is None else measures[name]
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
