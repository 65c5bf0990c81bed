"""The settings of model bundles."""

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
