"""The settings of model bundles, of the guard that takes one back, and of the trainer that makes new ones."""

from typing import Self

from pydantic import Field, model_validator

from operators.configuration.settings_section import Port, Section


class BundleSettings(Section):
    """Which bundle a submission ships, where `liveshelf models` keeps bundles, and which may serve."""

    path: str = "models/online-retail"
    store: str = ""
    require_signature: bool = False
    public_keys: list[str] = Field(default_factory=list)
    signing_key_file: str = ""

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if self.require_signature and not self.public_keys:
            raise ValueError("bundle.require_signature needs bundle.public_keys: liveshelf models key makes one")
        return self

    @property
    def required_keys(self) -> list[str]:
        """One of these must have signed a bundle that serves; empty: none need be signed."""
        return self.public_keys if self.require_signature else []


class GuardSettings(Section):
    """When a bundle of a rollout harms."""

    enabled: bool = True
    watch_minutes: float = Field(30.0, gt=0)
    min_lists: int = Field(100, ge=10, le=1000)
    fallback_share: float = Field(0.2, gt=0, le=1)
    empty_share: float = Field(0.05, gt=0, le=1)
    slower: float = Field(3.0, gt=1)
    slower_ms: float = Field(200.0, ge=0)


class TrainerSettings(Section):
    """The trainer; all but the port: of `liveshelf train --follow`."""

    metrics_port: Port = 9290
    follow: bool = False
    work_dir: str = ".liveshelf/trainer"
    light_every_s: float = Field(300, gt=0)
    weights_every_s: float = Field(3600, gt=0)
    history_events: int = Field(200_000, ge=1000)
    replay_share: float = Field(0.5, ge=0, lt=1)
    half_life_hours: float = Field(48, gt=0)
    hold_after_rollback_hours: float = Field(24, ge=0)
