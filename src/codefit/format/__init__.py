"""One prompt: rows and tasks rendered by the model's own chat template; mask, packing, preview."""
