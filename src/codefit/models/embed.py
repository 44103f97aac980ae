"""Embeddings of texts by a local encoder: one unit vector per text, for neighbours by meaning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codefit.models.load import load_encoder, load_tokenizer, require_torch

Vectors = npt.NDArray[np.float32]
_BATCH = 64
_TOKENS = 256


class Encoder:
    """Embeds texts with the model of a folder in transformers' layout, on the CPU or the device given.

    A text's vector is the mean of its last hidden states (mean pooling, as sentence encoders such as
    MiniLM are trained for), cut at 256 tokens and scaled to length 1; 0 for an empty text.
    Raises `MissingPrerequisite` without the train extra and `InputError` for a folder that holds no
    such model.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        require_torch()
        self._tokenizer = load_tokenizer(folder)
        self._model = load_encoder(folder, device=device).eval()
        self._device = device

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Return vectors_ND: one row per text; the same text has the same row whatever stands beside it."""
        import torch

        order = sorted((i for i, text in enumerate(texts) if text.strip()), key=lambda i: len(texts[i]))
        vectors = np.zeros((len(texts), int(self._model.config.hidden_size)), np.float32)
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            encoded = self._tokenizer(
                [texts[i] for i in batch],
                padding=True,
                truncation=True,
                max_length=_TOKENS,
                return_tensors="pt",
            ).to(self._device)
            with torch.inference_mode():
                hidden_BTD = self._model(
                    input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"]
                ).last_hidden_state
            mask_BT1 = encoded["attention_mask"].unsqueeze(-1).to(hidden_BTD.dtype)
            mean_BD = (hidden_BTD * mask_BT1).sum(1) / mask_BT1.sum(1).clamp(min=1)
            unit_BD = torch.nn.functional.normalize(mean_BD.float(), dim=-1)
            vectors[batch] = unit_BD.cpu().numpy()
        return vectors
