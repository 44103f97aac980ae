"""Pre-train the embedded model from a seed: tokenizer, weights, configuration.

    python scripts/pretrain_micro.py --out DIR [--seed 0] [--threads 2] [--steps 875]

Constant learning rate to step 900 of 1,500, then linear to zero; training stops at `--steps`.
Every `--every` steps the model, rounded to bf16, answers the development set in the sandbox; the
test set is never looked at. Hidden matrices are trained with Muon (Keller Jordan, 2024: momentum
orthogonalised by five Newton-Schulz steps), the rest with AdamW.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from codefit.core.types import Outcome
from codefit.micro import tasks
from codefit.micro.corpus import END, START, STOP, documents, tokenizer_texts
from codefit.sandbox import Program, Sandbox

VOCAB, WIDTH, LAYERS = 1024, 96, 3
BATCH, LENGTH = 24, 128
SCHEDULE, CONSTANT, WARMUP = 1500, 900, 20
MUON_LR, ADAMW_LR = 0.02, 6e-3
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def train_tokenizer(folder: Path, seed: int) -> PreTrainedTokenizerFast:
    """Train the byte-level BPE on documents, requests and other languages and save it with the chat template."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=[STOP, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(tokenizer_texts(seed), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=END,
        pad_token=STOP,
        additional_special_tokens=[START],
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE
    save_tokenizer(tokenizer, folder)
    return tokenizer


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save the tokenizer under the class name that transformers 4 and 5 both know."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def token_blocks(tokenizer: PreTrainedTokenizerFast, seed: int) -> Iterator[torch.Tensor]:
    """Yield batches (BATCH, LENGTH + 1) of the packed document stream."""
    stop, stream, size = tokenizer.convert_tokens_to_ids(STOP), documents(seed), BATCH * (LENGTH + 1)
    ids: list[int] = []
    while True:
        while len(ids) < size:
            texts = list(itertools.islice(stream, 64))
            for encoded in tokenizer(texts, add_special_tokens=False)["input_ids"]:
                ids += [*encoded, stop]
        yield torch.tensor(ids[:size]).view(BATCH, LENGTH + 1)
        ids = ids[size:]


def new_model(seed: int) -> Qwen2ForCausalLM:
    """Return the untrained model, 403,680 parameters."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=VOCAB,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=256,
        tie_word_embeddings=True,
        max_position_embeddings=512,
        rope_theta=10000.0,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
    )
    model = Qwen2ForCausalLM(config)
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=0.1)
    return model


class Muon(torch.optim.Optimizer):
    """Momentum whose update matrix is orthogonalised (Muon), for two-dimensional weights."""

    def __init__(self, params: list[torch.nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every matrix by its orthogonalised Nesterov momentum."""
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                buffer = state.setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonalise(p.grad.lerp(buffer, group["momentum"]))
                p.add_(update, alpha=-group["lr"] * max(1.0, p.shape[0] / p.shape[1]) ** 0.5)


def orthogonalise(G: torch.Tensor) -> torch.Tensor:
    """Return nearly the nearest semi-orthogonal matrix: five quintic Newton-Schulz steps."""
    a, b, c = 3.4445, -4.7750, 2.0315
    X = G.T if G.shape[0] > G.shape[1] else G
    X = X / (X.norm() + 1e-7)
    for _ in range(5):
        A = X @ X.T
        X = a * X + (b * A + c * A @ A) @ X
    return X.T if G.shape[0] > G.shape[1] else X


def optimisers(model: Qwen2ForCausalLM) -> list[torch.optim.Optimizer]:
    """Return Muon for the hidden matrices and AdamW for embeddings, norms and biases."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    return [Muon(matrices, MUON_LR), torch.optim.AdamW(rest, ADAMW_LR, betas=(0.9, 0.95), weight_decay=0.0)]


def rate(step: int) -> float:
    """Return the learning-rate factor of a step: warm-up, constant, linear to zero."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 1.0 if step < CONSTANT else max(0.0, (SCHEDULE - step) / (SCHEDULE - CONSTANT))


def train(
    model: Qwen2ForCausalLM, blocks: Iterator[torch.Tensor], steps: int, after: Callable[[int, float], None]
) -> None:
    """Train for a number of steps; `after(step, loss)` is called after each."""
    steppers = optimisers(model)
    base = [g["lr"] for o in steppers for g in o.param_groups]
    model.train()
    for step, block in enumerate(itertools.islice(blocks, steps)):
        for lr, group in zip(base, (g for o in steppers for g in o.param_groups), strict=True):
            group["lr"] = lr * rate(step)
        with torch.autocast("cpu", torch.bfloat16):
            logits_BTV = model(input_ids=block[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits_BTV.float().flatten(0, 1), block[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in steppers:
            o.step()
            o.zero_grad()
        after(step + 1, loss.item())


def save(model: Qwen2ForCausalLM, folder: Path) -> None:
    """Save a bf16 copy of the weights with its configuration; generation stops on both end tokens."""
    copy = Qwen2ForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy = copy.to(torch.bfloat16)
    copy.generation_config.update(eos_token_id=[2, 0], pad_token_id=0, do_sample=False)
    copy.save_pretrained(folder)


@torch.inference_mode()
def complete(folder: Path, prompts: list[str], batch: int = 64) -> list[str]:
    """Answer prompts greedily with the saved model; left padding."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    answers: list[str] = []
    for i in range(0, len(prompts), batch):
        texts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": p}], tokenize=False, add_generation_prompt=True
            )
            for p in prompts[i : i + batch]
        ]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        out = model.generate(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], max_new_tokens=80
        )
        answers += tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return answers


def development_score(folder: Path, sandbox: Sandbox) -> tuple[int, int]:
    """Return how many development tasks the saved model solves, and of how many."""
    held_out = tasks("dev")
    answers = complete(folder, [t.prompt for t in held_out])
    programs = [
        Program(source=a or "pass", kind="calls", tests=t.tests.inputs, entry_point=t.entry_point)
        for a, t in zip(answers, held_out, strict=True)
    ]
    solved = 0
    for index, run in sandbox.map((p, None) for p in programs):
        values = [repr(f.value) if f.error is None else None for f in run.frames]
        solved += run.outcome is Outcome.PASSED and values == [repr(o) for o in held_out[index].tests.outputs]
    return solved, len(held_out)


def main() -> None:
    """Parse the command line, train, and report the development score on the way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=875)
    parser.add_argument("--every", type=int, default=125, help="steps between checkpoints")
    parser.add_argument("--from-step", type=int, default=500, help="first step at which one is kept")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tokenizer = train_tokenizer(options.out / "tokenizer", options.seed)
    model = new_model(options.seed)
    started = time.perf_counter()
    with Sandbox() as sandbox:

        def after(step: int, loss: float) -> None:
            if step % 25 == 0:
                print(f"step {step} loss {loss:.3f} {time.perf_counter() - started:.0f} s", flush=True)
            if step >= options.from_step and (step % options.every == 0 or step == options.steps):
                folder = options.out / f"step-{step}"
                save(model, folder)
                save_tokenizer(tokenizer, folder)
                solved, n = development_score(folder, sandbox)
                print(f"step {step}: {solved} of {n} development tasks, {folder}", flush=True)
                model.train()

        train(model, token_blocks(tokenizer, options.seed), options.steps, after)


if __name__ == "__main__":
    main()
