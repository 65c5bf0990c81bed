"""The base of every table of the settings."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the TOML file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
