"""The base of every table of the settings, and what several tables have."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Port = Annotated[int, Field(ge=0, le=65_535)]  # 0: any that is free


class Section(BaseModel):
    """A table of the TOML file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
