"""The second engine: the same examples through TRL's SFTTrainer under accelerate, in several processes."""
