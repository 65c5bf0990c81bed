"""`liveshelf export`: a bundle -> a cheaper one of the same model (extra `train`)."""

from pathlib import Path

import typer

from operators.errors import LiveshelfError
from pipelines.cli.output import JsonFlag, machine, people
from pipelines.cli.train import need_torch


def run(
    bundle: Path = typer.Option(..., help="Bundle folder."),
    out: Path = typer.Option(..., help="Folder of the new bundle."),
    int8: bool = typer.Option(False, "--int8", help="The item table in int8: for CPUs."),
    json: bool = JsonFlag,
) -> None:
    """Compresses a bundle; the new one is checked as every bundle is. What it costs in quality: liveshelf evaluate.

    Example: liveshelf export --bundle bundles/mine --out bundles/mine-int8 --int8
    """
    if not int8:
        raise LiveshelfError("a step of compression", "none", "give --int8")
    need_torch()
    from model_export.bundles.compress import bytes_of, quantized_bundle

    manifest, kept = quantized_bundle(bundle, out)
    found = {
        "bundle": f"{manifest['name']} {manifest['version']}",
        "bytes_before": bytes_of(bundle),
        "bytes": bytes_of(out),
        "golden_top_20_kept": round(kept, 4),
    }
    if json:
        machine(found)
        return
    people.print(
        f"{out}: {found['bytes'] / 1e6:.1f} MB instead of {found['bytes_before'] / 1e6:.1f}, "
        f"{kept:.1%} of the golden top 20 stayed"
    )
