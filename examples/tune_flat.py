"""LoRA tuning of a small code model as one flat loop, to read in a sitting and to change.

    python examples/tune_flat.py --model MODEL_FOLDER --rows rows.jsonl --out adapter

The same job as `codefit train` (same rows in the same order, same loss, same steps), without what makes
that one long: the memory plan, checkpoints, watches, engines, the kernels for a GPU of 8 GB. Rows are
JSON Lines with `instruction` and `output`, or a `kept.parquet` of ours; the adapter is in PEFT's format.
Needs `pip install 'codefit[train]'`.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from codefit.core.types import Example
from codefit.format.chat import ChatFormat
from codefit.format.pack import epoch_bins
from codefit.sources import open_source
from codefit.train.batch import collate
from codefit.train.loss import chunked_cross_entropy


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of the start model")
    parser.add_argument("--rows", type=Path, required=True, help="JSON Lines or Parquet")
    parser.add_argument("--out", type=Path, required=True, help="folder of the adapter to write")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--batch-size", type=int, default=16, help="packed sequences in one optimizer step")
    parser.add_argument("--micro-batch", type=int, default=4, help="packed sequences in one forward pass")
    parser.add_argument("--max-length", type=int, default=1024, help="tokens in a packed sequence")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--no-fence", action="store_true", help="answers are bare code")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def rate_at(peak: float, done: float, warmup: float = 0.03) -> float:
    """Linear warm-up, then a cosine to 0; `done` runs from 0 to 1."""
    if done < warmup:
        return peak * done / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, (done - warmup) / (1 - warmup))))


def main() -> None:
    args = arguments()
    kind = "parquet" if args.rows.suffix == ".parquet" else "jsonl"

    # Rows -> tokens: the model's own chat template, loss on the response only, nothing ever cut.
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    chat = ChatFormat(tokenizer, system=None, fence=not args.no_fence)
    rows = open_source({"kind": kind, "path": args.rows}).rows()
    examples = [e for e in chat.examples(rows, args.max_length) if isinstance(e, Example)]
    budget = round(args.epochs * sum(e.trained_tokens for e in examples))

    # Weights straight into the training dtype; adapters on every linear layer but the head.
    dtype = torch.bfloat16 if args.device.startswith("cuda") else torch.float32
    base = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype).to(args.device)
    torch.manual_seed(args.seed)
    lora = LoraConfig(r=args.rank, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base, lora).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=args.learning_rate, weight_decay=0.0)
    decoder, head_VD = base.get_decoder(), base.get_output_embeddings().weight

    seen = step = epoch = 0
    while seen < budget:
        # An epoch is a fresh shuffle, packed into bins; documents of one bin don't see each other.
        bins = epoch_bins(examples, args.max_length, args.seed, epoch)
        for at in range(0, len(bins), args.batch_size):
            if seen >= budget:
                break
            window = bins[at : at + args.batch_size]
            tokens = sum(examples[i].trained_tokens for members in window for i in members)
            total = 0.0
            for start in range(0, len(window), args.micro_batch):
                part = window[start : start + args.micro_batch]
                b = collate(examples, part, tokenizer.pad_token_id, args.device)
                with torch.autocast(
                    args.device.split(":")[0], torch.bfloat16, enabled=dtype == torch.bfloat16
                ):
                    out = decoder(
                        input_ids=b.ids_BT, attention_mask=b.mask_B1TT, position_ids=b.positions_BT,
                        use_cache=False,
                    )  # fmt: skip
                hidden_ND = out.last_hidden_state.to(dtype)[b.scored_BT]
                loss = chunked_cross_entropy(hidden_ND, head_VD, b.targets_N)
                # By the tokens of the whole window, so that micro-batches add up to one large batch.
                (loss / tokens).backward()
                total += loss.item()
            norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
            for group in optimizer.param_groups:
                group["lr"] = rate_at(args.learning_rate, (seen + tokens / 2) / budget)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            seen, step = seen + tokens, step + 1
            line = {"step": step, "trained_tokens": seen, "loss": total / tokens, "grad_norm": float(norm)}
            print(json.dumps(line), flush=True)
        epoch += 1
    model.save_pretrained(args.out)
    print(f"Adapter: {args.out}")


if __name__ == "__main__":
    main()
