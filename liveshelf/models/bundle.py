"""`liveshelf bundle`: shows a bundle and verifies it."""

from pathlib import Path

import typer

from liveshelf.terminal.output import JsonFlag, machine, pairs, people
from operators.settings import load_settings

app = typer.Typer(no_args_is_help=True)
Bundle = typer.Argument(..., help="A bundle's folder.")


@app.command()
def show(bundle: Path = Bundle, json: bool = JsonFlag) -> None:
    """Shows a bundle's manifest.

    Example: liveshelf bundle show models/online-retail
    """
    from operators.model.bundle_files import read_manifest

    manifest = read_manifest(bundle)
    machine(manifest) if json else pairs({k: v for k, v in manifest.items() if k != "files"})


@app.command()
def lineage(bundle: Path = Bundle, json: bool = JsonFlag) -> None:
    """Prints the chain: topic and offsets, file, training run and code, bundle, submissions.

    Example: liveshelf bundle lineage bundles/mine
    """
    from operators.model.bundle_files import read_manifest
    from pipelines.provenance.lineage import Lineage, chain

    manifest = read_manifest(bundle)
    served = Lineage(load_settings()).submissions_of(manifest)
    if json:
        machine(
            {"bundle": f"{manifest['name']} {manifest['version']}", **manifest.get("lineage", {}), "served": served}
        )
        return
    for line in chain(manifest, served):
        people.print(line, soft_wrap=True)


@app.command()
def verify(bundle: Path = Bundle) -> None:
    """Checks hashes, shapes, values and golden scores on this machine. Exit 1 if a check fails.

    Example: liveshelf bundle verify models/online-retail
    """
    from operators.model.bundle_files import BundleFiles
    from operators.model.model_bundle import ModelBundle
    from operators.model.scorer import Scorer

    loaded = ModelBundle.load(bundle)
    scorer = Scorer(loaded, load_settings().scorer)
    people.print(f"{loaded.name} {loaded.version}: all checks pass on {scorer.provider} ({scorer.provider_reason})")
    if unlisted := BundleFiles(bundle, loaded.manifest).unlisted():
        people.print(f"not of the bundle, neither read nor shipped: {', '.join(unlisted)}", markup=False)
