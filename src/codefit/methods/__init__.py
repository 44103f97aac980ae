"""Methods beyond tuning on given rows: rejection sampling, the model's own verified answers."""
