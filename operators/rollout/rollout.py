"""The rollout of a shop's models: the record of `shop.models.v1`, and what each verb makes of it. Pure."""

from typing import Annotated

import msgspec

from operators.errors import RolloutError
from operators.time_units import Moment

MAX_CHALLENGERS = 4  # each is a process beside the champion's, with a bundle in memory
Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class BundleRef(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle in a store. `sum`: sha256 of its manifest, which holds the sums of its files; `address`: of its folder."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    sum: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    address: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]

    @property
    def label(self) -> str:
        """Name and version, for people and logs."""
        return f"{self.name} {self.version}"


class Challenger(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that makes the lists of a share of the users."""

    bundle: BundleRef
    share: Share


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """Which bundles serve. `shadow` scores `shadow_share` of the requests, and no list of it is served. `previous`: the
    champion before, to which `rolled_back` returns.

    `revision` rises by one with each change; `changed_at` is epoch ms; `why`: the verb or the guard's reason.
    `champion_since` (epoch ms) is when the champion became that, None in records from before this field. `rolled_back_at`
    (epoch ms): since when it serves because `previous` was taken back; None: it was promoted. `previous_harmed`: the guard
    took `previous` back.
    """

    champion: BundleRef
    challengers: tuple[Challenger, ...] = ()
    shadow: BundleRef | None = None
    shadow_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    previous: BundleRef | None = None
    revision: Annotated[int, msgspec.Meta(ge=1)] = 1
    changed_at: Moment
    changed_by: str
    why: str
    champion_since: Moment | None = None
    rolled_back_at: Moment | None = None
    previous_harmed: bool = False

    @property
    def known_since(self) -> int:
        """When the champion became that (epoch ms), as far as the record says."""
        return self.changed_at if self.champion_since is None else self.champion_since

    @property
    def serving(self) -> list[BundleRef]:
        """The bundles that make lists, the champion first."""
        return [self.champion, *(challenger.bundle for challenger in self.challengers)]

    @property
    def named(self) -> list[BundleRef]:
        """All bundles of the record: those that serve, the shadow, and the champion before."""
        return [*self.serving, *(bundle for bundle in (self.shadow, self.previous) if bundle is not None)]


class Change(msgspec.Struct, frozen=True):
    """Who changes a rollout, when (epoch ms), and why."""

    at: int
    by: str
    why: str


def promoted(rollout: Rollout | None, bundle: BundleRef, change: Change) -> Rollout:
    """`bundle` is champion; the champion before is `previous`. It is no challenger or shadow any more. Raises `RolloutError`
    where it is champion already."""
    if rollout is None:
        return Rollout(
            champion=bundle, changed_at=change.at, changed_by=change.by, why=change.why, champion_since=change.at
        )
    _refuse_twin(rollout, bundle)
    if bundle.sum == rollout.champion.sum:
        raise RolloutError("another bundle than the champion", bundle.label, "liveshelf models list")
    others = tuple(one for one in rollout.challengers if one.bundle.sum != bundle.sum)
    return _next(
        rollout,
        change,
        champion=bundle,
        previous=rollout.champion,
        challengers=others,
        rolled_back_at=None,
        **_shadow_beside(rollout, bundle),
    )


def split(rollout: Rollout | None, bundle: BundleRef, share: float, change: Change) -> Rollout:
    """`bundle` makes the lists of `share` of the users, and is no shadow any more; 0 ends that. Raises `RolloutError` for the
    champion, a share that is not from 0 to below 1, or shares that leave the champion nothing."""
    rollout = _existing(rollout)
    _refuse_twin(rollout, bundle)
    if bundle.sum == rollout.champion.sum:
        raise RolloutError("another bundle than the champion", bundle.label, "the champion has the share that is left")
    others = tuple(one for one in rollout.challengers if one.bundle.sum != bundle.sum)
    if share == 0:
        if len(others) == len(rollout.challengers):
            raise RolloutError("a challenger", bundle.label, "liveshelf models list")
        return _next(rollout, change, challengers=others)
    total = share + sum(one.share for one in others)
    if not (0 < share < 1 and total < 1):
        raise RolloutError(
            "shares of challengers above 0 that add up to less than 1", f"{share:g}, {total:g} together", "lower one"
        )
    if len(others) >= MAX_CHALLENGERS:
        raise RolloutError(
            f"at most {MAX_CHALLENGERS} challengers",
            f"{len(others) + 1}",
            "end one: liveshelf models split BUNDLE --share 0",
        )
    challengers = (*others, Challenger(bundle=bundle, share=share))
    return _next(rollout, change, challengers=challengers, **_shadow_beside(rollout, bundle))


def shadowed(rollout: Rollout | None, bundle: BundleRef | None, share: float, change: Change) -> Rollout:
    """`bundle` scores `share` of the requests, and serves nobody; None ends that. Raises `RolloutError`."""
    rollout = _existing(rollout)
    if bundle is None:
        return _next(rollout, change, shadow=None, shadow_share=0.0)
    _refuse_twin(rollout, bundle)
    if not 0 < share <= 1:
        raise RolloutError("a share of requests above 0, at most 1", f"{share:g}", "correct it")
    if any(bundle.sum == served.sum for served in rollout.serving):
        raise RolloutError("a bundle that does not serve", bundle.label, "liveshelf models list")
    return _next(rollout, change, shadow=bundle, shadow_share=share)


def rolled_back(rollout: Rollout | None, change: Change) -> Rollout | None:
    """The previous champion is champion again; all challengers and the shadow end: one of them may be what went wrong. None
    without a previous one: the submitted bundle serves again. Raises `RolloutError` where nothing was promoted."""
    rollout = _existing(rollout)
    if rollout.previous is None:
        return None
    return _next(
        rollout,
        change,
        champion=rollout.previous,
        previous=rollout.champion,
        challengers=(),
        shadow=None,
        shadow_share=0.0,
        rolled_back_at=change.at if rollout.rolled_back_at is None else None,  # the second one takes the first one back
    )


def _shadow_beside(rollout: Rollout, bundle: BundleRef) -> dict[str, object]:
    """The shadow's fields once `bundle` serves: a bundle that serves is no shadow."""
    if rollout.shadow is None or rollout.shadow.sum == bundle.sum:
        return {"shadow": None, "shadow_share": 0.0}
    return {}


def _refuse_twin(rollout: Rollout, bundle: BundleRef) -> None:
    """Lists and metrics name a bundle by its label: two of one rollout must not share it."""
    if any(bundle.label == other.label and bundle.sum != other.sum for other in rollout.named):
        raise RolloutError(
            f"a bundle whose name and version no other of the rollout has: {bundle.label}",
            "one has them: lists would not tell which made them",
            "train gives each bundle a version of its own; liveshelf models list",
        )


def _existing(rollout: Rollout | None) -> Rollout:
    if rollout is None:
        raise RolloutError("a champion", "none: no model was ever promoted", "liveshelf models promote BUNDLE")
    return rollout


def _next(rollout: Rollout, change: Change, **fields: object) -> Rollout:
    is_new = "champion" in fields
    changed = msgspec.structs.replace(
        rollout,
        champion_since=change.at if is_new else rollout.known_since,
        previous_harmed=rollout.previous_harmed and not is_new,
    )
    changed = msgspec.structs.replace(changed, **fields)
    return msgspec.structs.replace(
        changed, revision=rollout.revision + 1, changed_at=change.at, changed_by=change.by, why=change.why
    )
