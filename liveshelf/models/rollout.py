"""`liveshelf models`: which bundles make lists. Each change reaches all scorers within seconds, without a restart."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from liveshelf.models import gate
from liveshelf.terminal.numbers import real
from liveshelf.terminal.output import JsonFlag, machine, people, table
from operators.errors import RolloutError
from operators.settings import Settings, load_settings

if TYPE_CHECKING:
    from operators.rollout.rollout import BundleRef, Change, Rollout

app = typer.Typer(no_args_is_help=True)
app.command("gate")(gate.run)
Bundle = typer.Argument(..., help="A bundle's folder, or the first 8 or more digits of a listed bundle's sum.")
Why = typer.Option("", help="The reason, for the record and the audit log.")
STORE = "bundles"


@app.command("list")
def list_models(json: bool = JsonFlag) -> None:
    """Shows champion, challengers with their shares, shadow, and the champion before.

    Example: liveshelf models list --json
    """
    from pipelines.topics.rollout_topic import read_newest

    _show(read_newest(load_settings()), json=json)


@app.command()
def promote(bundle: str = Bundle, why: str = Why, json: bool = JsonFlag) -> None:
    """Makes a bundle champion: it makes the lists of all users but those of challengers.

    Verifies it first, and copies it into the bundle store.

    Example: liveshelf models promote bundles/mine --why "newer events"
    """
    from operators.rollout.rollout import promoted

    settings = load_settings()
    chosen = _stored(settings, bundle)
    _change(settings, "promote", lambda now, change: promoted(now, chosen, change), why, chosen, json=json)


@app.command()
def split(
    bundle: str = Bundle,
    share: float = real(..., "The share of users whose lists it makes; 0 ends it.", min=0, max=1),
    why: str = Why,
    json: bool = JsonFlag,
) -> None:
    """Gives a challenger a share of the users. A user keeps a model while the shares stay.

    Example: liveshelf models split bundles/mine --share 0.1
    """
    from operators.rollout import rollout

    settings = load_settings()
    chosen = _stored(settings, bundle)
    _change(settings, "split", lambda now, change: rollout.split(now, chosen, share, change), why, chosen, json=json)


@app.command()
def shadow(
    bundle: str = typer.Argument("", help="As for `promote`; none: ends the shadow."),
    share: float = real(0.1, "The share of requests that it scores.", min=0, max=1),
    why: str = Why,
    json: bool = JsonFlag,
) -> None:
    """Lets a bundle score requests without serving a list, and compares its lists: liveshelf_shadow_overlap_ratio.

    Example: liveshelf models shadow bundles/mine --share 0.2
    """
    from operators.rollout.rollout import shadowed

    settings = load_settings()
    chosen = _stored(settings, bundle) if bundle else None
    _change(settings, "shadow", lambda now, change: shadowed(now, chosen, share, change), why, chosen, json=json)


@app.command()
def rollback(why: str = Why, json: bool = JsonFlag) -> None:
    """Makes the champion before champion again, and ends all challengers and the shadow.

    Without a champion before, the submitted bundle serves again.

    Example: liveshelf models rollback --why "empty lists"
    """
    from operators.rollout.rollout import rolled_back

    _change(load_settings(), "rollback", rolled_back, why, None, json=json)


@app.command()
def reset(why: str = Why, json: bool = JsonFlag) -> None:
    """Ends the rollout: the bundle of the last `liveshelf submit` serves.

    Example: liveshelf models reset
    """
    _change(load_settings(), "reset", lambda now, change: None, why, None, json=json)


@app.command()
def key(file: Path = typer.Argument(..., help="The PEM file to write; it must not exist.")) -> None:
    """Makes a key to sign bundles with, and prints its public half for bundle.public_keys.

    Example: liveshelf models key signing.pem
    """
    from operators.model.bundle_signature import new_key

    machine({"public_key": new_key(file), "signing_key_file": str(file)})


@app.command()
def sign(bundle: Path = typer.Argument(..., help="A bundle's folder.")) -> None:
    """Signs a bundle with the key of bundle.signing_key_file. `promote`, `split` and `shadow` do it too.

    Example: liveshelf models sign bundles/mine
    """
    from operators.model.bundle_signature import sign_bundle

    sign_bundle(bundle, load_settings().bundle.signing_key_file)
    people.print(f"{bundle} is signed")


def _stored(settings: Settings, bundle: str) -> "BundleRef":
    """The bundle, verified as a job does it, signed where this machine has the key, in the store."""
    from operators.model.bundle_signature import sign_bundle
    from operators.model.model_bundle import ModelBundle
    from operators.model.scorer import Scorer
    from operators.rollout.bundle_store import put
    from pipelines.topics.rollout_topic import read_newest

    if not Path(bundle).is_dir():
        return _listed(read_newest(settings), bundle)
    with people.status("verifying"):
        if settings.bundle.signing_key_file:
            sign_bundle(Path(bundle), settings.bundle.signing_key_file)
        loaded = ModelBundle.load(Path(bundle), settings.bundle.required_keys)
        Scorer(loaded, settings.scorer.model_copy(update={"require_gpu": False}))
        return put(Path(bundle), store_of(settings))


def store_of(settings: Settings) -> str:
    """The address of the bundle store."""
    store, local = settings.bundle.store, settings.resolve(settings.stack.data_dir) / STORE
    return store if "://" in store else str(settings.resolve(store) if store else local)


def _listed(rollout: "Rollout | None", text: str) -> "BundleRef":
    named = [] if rollout is None else rollout.named
    found = {bundle.sum: bundle for bundle in named if bundle.sum.startswith(text)}
    if len(text) < 8 or len(found) != 1:
        raise RolloutError(
            "the folder of a bundle, or 8 or more digits of the sum of a listed one",
            text,
            "liveshelf models list shows the sums",
        )
    return next(iter(found.values()))


def _change(
    settings: Settings,
    verb: str,
    apply: Callable[["Rollout | None", "Change"], "Rollout | None"],
    why: str,
    bundle: "BundleRef | None",
    *,
    json: bool,
) -> None:
    from pipelines.provenance.audit_log import record_act
    from pipelines.topics.rollout_topic import change_rollout

    before, after = change_rollout(settings, apply, why or verb)
    record_act(
        settings.kafka,
        f"models {verb}",
        bundle="" if bundle is None else f"{bundle.label} {bundle.sum}",
        champion="the submitted bundle" if after is None else after.champion.label,
        before="the submitted bundle" if before is None else before.champion.label,
        why=why,
    )
    _show(after, json=json)


def _show(rollout: "Rollout | None", *, json: bool) -> None:
    if json:
        machine(_as_json(rollout))
        return
    if rollout is None:
        people.print("nothing was promoted: the bundle of the last `liveshelf submit` makes the lists")
        return
    rest = 1 - sum(one.share for one in rollout.challengers)
    rows = [("champion", rollout.champion, f"{rest:.0%} of the users")]
    rows += [("challenger", one.bundle, f"{one.share:.0%} of the users") for one in rollout.challengers]
    if rollout.shadow is not None:
        rows.append(("shadow", rollout.shadow, f"{rollout.shadow_share:.0%} of the requests"))
    if rollout.previous is not None:
        rows.append(("previous", rollout.previous, ""))
    table("", ("", "bundle", "sum", "scores"), [(role, one.label, one.sum[:12], share) for role, one, share in rows])
    people.print(f"revision {rollout.revision} by {rollout.changed_by}: {rollout.why}")


def _as_json(rollout: "Rollout | None") -> dict[str, Any]:
    """`champion` is null where the submitted bundle serves."""
    if rollout is None:
        return {"champion": None, "challengers": [], "shadow": None, "previous": None, "revision": 0}

    def of(bundle: "BundleRef | None") -> dict[str, Any] | None:
        return None if bundle is None else {field: getattr(bundle, field) for field in bundle.__struct_fields__}

    return {
        "champion": of(rollout.champion),
        "challengers": [{**(of(one.bundle) or {}), "share": one.share} for one in rollout.challengers],
        "shadow": None if rollout.shadow is None else {**(of(rollout.shadow) or {}), "share": rollout.shadow_share},
        "previous": of(rollout.previous),
        "revision": rollout.revision,
        "changed_at": rollout.changed_at,
        "changed_by": rollout.changed_by,
        "why": rollout.why,
        "rolled_back_at": rollout.rolled_back_at,
    }
