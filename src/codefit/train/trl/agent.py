"""torch's launcher (torchrun), which ends with the run that started it: `python -m codefit.train.trl.agent`."""

from __future__ import annotations

from torch.distributed import run

from codefit.train.trl.parent import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    run.main()
