"""The part of a recipe that names rivals: models that nobody trains here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from codefit.core.engines import EndpointSettings, PatienceSettings
from codefit.core.generation import Weights
from codefit.core.origins import ModelSettings, Name
from codefit.core.settings import Settings

_NEEDS = {"transformers": "model", "vllm": "model", "llama.cpp": "gguf", "openai": "endpoint"}
_TAKES = {
    "transformers": {"model", "weights"},
    "vllm": {"model", "context", "patience"},
    "llama.cpp": {"gguf", "context", "patience"},
    "openai": {"endpoint", "stated_weights"},
}


class RivalSettings(Settings):
    """A model that nobody trains here, evaluated beside the start model and the arms on the same harness."""

    name: Name
    engine: Literal["transformers", "openai", "vllm", "llama.cpp"] = Field(
        "transformers", description="who answers; vllm and llama.cpp are started, and stopped afterwards"
    )
    model: ModelSettings | None = Field(None, description="engines transformers and vllm")
    gguf: Path | None = Field(None, description="engine llama.cpp: file; a relative one is below data_dir")
    endpoint: EndpointSettings | None = Field(None, description="engine openai")
    weights: Weights = Field(
        "plain", description="`nf4` (4 bits) or `int8`: quantised as they are read (extra gpu)"
    )
    stated_weights: str | None = Field(
        None, description="engine openai: format of the weights, such as Q4_K_M; null: what the name tells"
    )
    context: Annotated[int, Field(ge=16)] = Field(
        4096, description="tokens of prompt and answer, for a server that is started"
    )
    patience: PatienceSettings = Field(
        PatienceSettings(), description="how a server that is started is asked"
    )

    @model_validator(mode="after")
    def _fits_its_engine(self) -> RivalSettings:
        needed, taken = _NEEDS[self.engine], _TAKES[self.engine]
        if getattr(self, needed) is None:
            raise ValueError(f"engine {self.engine} needs '{needed}'")
        for name, field in type(self).model_fields.items():
            if name not in {"name", "engine", *taken} and getattr(self, name) != field.default:
                raise ValueError(f"'{name}' changes nothing with engine {self.engine}")
        return self

    def lasting(self) -> dict[str, Any]:
        """Return everything that its answers may depend on; how patiently it is asked is not in it."""
        data = self.model_dump(mode="json", exclude={"patience"})
        if self.endpoint:
            data["endpoint"] = self.endpoint.model_dump(
                mode="json", exclude={*PatienceSettings.model_fields, "api_key_env"}
            )
        return data
