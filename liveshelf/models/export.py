"""`liveshelf export`: compresses a bundle into a cheaper one of the same model (extra `train`)."""

from pathlib import Path

import typer

from liveshelf.terminal.extras import need
from liveshelf.terminal.output import JsonFlag, machine, people
from operators.errors import LiveshelfError


def run(
    bundle: Path = typer.Option(..., help="Bundle folder."),
    out: Path = typer.Option(..., help="Folder of the new bundle."),
    int8: bool = typer.Option(False, "--int8", help="The item table in int8: a quarter of the bytes, faster on CPUs."),
    fp16: bool = typer.Option(False, "--fp16", help="The item table in float16: half the bytes, as fast."),
    json: bool = JsonFlag,
) -> None:
    """Compresses a bundle and verifies the new one. `liveshelf evaluate` shows the loss of quality.

    Example: liveshelf export --bundle bundles/mine --out bundles/mine-int8 --int8
    """
    if int8 == fp16:
        raise LiveshelfError("one step of compression", "both" if int8 else "none", "give --int8 or --fp16")
    need("torch", "onnx")
    from model_export.bundles.compress import bytes_of, compressed_bundle

    manifest, golden_overlap = compressed_bundle(bundle, out, "int8" if int8 else "float16")
    result = {
        "bundle": f"{manifest['name']} {manifest['version']}",
        "bytes_before": bytes_of(bundle),
        "bytes": bytes_of(out),
        "golden_top_20_kept": round(golden_overlap, 4),
    }
    if json:
        machine(result)
        return
    people.print(
        f"{out}: {result['bytes'] / 1e6:.1f} MB instead of {result['bytes_before'] / 1e6:.1f}, "
        f"{golden_overlap:.1%} of the golden top 20 stayed"
    )
