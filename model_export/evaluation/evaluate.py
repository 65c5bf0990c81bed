"""`liveshelf evaluate` on a session folder: compares a bundle, scored as in the job, with the baselines."""

from pathlib import Path
from typing import Any

from model_export.baselines.comparison import evaluate_baselines
from model_export.data.sessions import DEFAULTS, read_sessions, session_examples
from model_export.evaluation.served import Served
from model_export.measures.ranking_metrics import percent, summary
from model_export.measures.training_log import Log
from operators.configuration.shop_settings import EventSettings
from operators.model.model_bundle import ModelBundle
from operators.shopper.state_layout import HISTORY


def evaluate_sessions(bundle: ModelBundle, folder: Path, log: Log, limits: EventSettings = DEFAULTS) -> dict[str, Any]:
    """P@20, MRR@20 and NDCG@20 in % of the bundle and of each baseline, with the protocol."""
    session_set = read_sessions(folder, limits)
    questions = session_set.questions(bundle.vocabulary, bundle.window, bundle.hop)
    bundle_metrics = percent(summary(Served(bundle).ranks(questions.features, questions.target)))
    log(f"{bundle.name} {bundle.version}: {bundle_metrics}")
    words = session_set.vocabulary()
    train, baseline_questions = session_examples(session_set.train, words), session_set.questions(words, HISTORY)
    by_baseline = evaluate_baselines(train, baseline_questions, len(words), log, timed=False)
    return {
        **bundle_metrics,
        "model": f"{bundle.name} {bundle.version}",
        "baselines": {name: percent(metrics) for name, metrics in by_baseline.items()},
        "protocol": {
            "set": session_set.name,
            "split": "the folder's own train.parquet and test.parquet",
            "ranking": f"all {len(words)} items, ties count against the model, items of the prefix may come again",
            "questions": len(baseline_questions),
            "steps_seen_by_the_model": bundle.window,
            "steps_seen_by_the_baselines": HISTORY,
            "items_that_the_bundle_does_not_know": sum(not bundle.vocabulary.row(item) for item in words.item_ids),
            "cleaning": session_set.cleaning,
        },
    }
