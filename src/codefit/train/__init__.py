"""Train one model on one device: data order, loss, LoRA or full parameters, exact resume."""
