"""The settings of model bundles, and of the guard that takes one back."""

from typing import Self

from pydantic import Field, model_validator

from operators.configuration.settings_section import Section


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
