"""One configuration of codefit's own step, measured in a process of its own; prints one line of JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import common
import torch

from codefit.core.recipe import TrainSettings
from codefit.plan.lean import estimate
from codefit.plan.setting import Setting
from codefit.train.checkpoint import Cursor
from codefit.train.model import Trainee
from codefit.train.schedule import Step
from codefit.train.steps import FullSteps, make_steps

_OPTIMIZERS = {32: "adamw", 8: "adamw8", 4: "adamw4"}


def main() -> None:
    """Measure what the argument asks for."""
    want = json.loads(sys.argv[1])
    common.wait_for_turn()
    device, name = want["device"], want["shape"]
    found = common.become_an_8gb_card(device)
    shape = common.shape(name)
    setting = Setting(
        want["method"], 1, want["tokens"], want["recompute"], common.RANK, 2, "cuda",
        want.get("bits", 32), want.get("offload", False), want.get("host_embedding", False), "codefit",
        want.get("graphs", False),
    )  # fmt: skip
    predicted = estimate(shape, setting)
    predicted.components["workspaces"] = common.workspaces(device)
    began = time.perf_counter()
    made = common.random_quantised_model if want["method"] == "qlora" else common.random_model
    model = made(name, device)
    if setting.host_embedding:
        model.get_input_embeddings().to("cpu")
    common.release(device)
    settings = TrainSettings(
        method=want["method"],
        optimizer=_OPTIMIZERS[setting.bits],
        recompute=setting.recompute,
        offload=setting.offload,
        host_embedding=setting.host_embedding,
        batch_size=1,
        lora_rank=common.RANK,
        lora_alpha=common.ALPHA,
        dtype="auto",
        cuda_graphs=want.get("graphs", False),
    )
    rows = common.examples(Path(want["rows"]))
    outer = common.with_adapters(model) if setting.adapters else model
    trainable = {n: p for n, p in outer.named_parameters() if p.requires_grad}
    head = model.get_output_embeddings().weight
    trainee = Trainee(outer, model, model.get_decoder(), head, trainable)
    if want.get("compiled", True):
        steps = make_steps(trainee, settings, rows, common.PAD, 0, want["tokens"])
    else:
        steps = FullSteps(trainee, settings, rows, 0, compiled=False)
    built = time.perf_counter() - began
    warm, count = want.get("warm", common.WARM_STEPS), want.get("count", common.TIMED_STEPS)
    plan = [
        Step([b], sum(rows[i].trained_tokens for i in b), Cursor())
        for b in common.full_bins(rows, want["tokens"], warm + count)
    ]
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()

    def step(number: int) -> float:
        return steps.step(plan[number], common.RATE)[0]

    began = time.perf_counter()
    step(0)
    common.synchronize(device)
    first = time.perf_counter() - began
    seconds, losses = common.timed(device, lambda n: step(n), warm, count)
    lengths = [len(rows[i].token_ids) for s in plan[warm : warm + count] for b in s.bins for i in b]
    work = common.flops(shape, lengths, want["method"])
    print(json.dumps({
        **want, **found, **common.memory(device),
        "predicted_mib": round(predicted.peak / 2**20, 1),
        "predicted": {k: round(v / 2**20, 1) for k, v in predicted.components.items()},
        "phase": predicted.phase,
        "tokens_per_s": round(sum(lengths) / seconds, 1), "tokens_per_step": sum(lengths) / count,
        "seconds_per_step": round(seconds / count, 4), "tflops": round(work / seconds / 1e12, 2),
        "first_step_s": round(first, 2), "build_s": round(built, 2),
        "losses": [round(losses[0], 4), round(losses[-1], 4)],
    }))  # fmt: skip


if __name__ == "__main__":
    main()
