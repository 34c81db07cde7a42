"""Bodies of the control API."""

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """What a client sends; a misspelt field is refused."""

    model_config = ConfigDict(extra="forbid")
