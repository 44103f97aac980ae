"""A stand-in for `vllm serve` and `llama-server`: their flags, key variables, health and API, no model.

Like vLLM it has a worker process of its own, which may ignore SIGTERM. What it was started with goes to the
file that STAND_IN names.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
WORDS = {
    "vllm": ["--served-model-name", "--generation-config", "--max-model-len", "--max-num-seqs", "--seed",
             "--gpu-memory-utilization", "--max-lora-rank", "--lora-modules"],
    "llama-server": ["--model", "--alias", "--parallel", "--ctx-size", "--n-gpu-layers", "--top-k", "--min-p",
                     "--repeat-penalty"],
}  # fmt: skip


def arguments(program: str) -> argparse.Namespace:
    """Parse as the real one does: an unknown flag ends it."""
    parser = argparse.ArgumentParser(prog=program)
    if program == "vllm":
        parser.add_argument("verb", choices=["serve"])
        parser.add_argument("model")
        parser.add_argument("--enable-lora", action="store_true")
    else:
        parser.add_argument("--jinja", action="store_true")
    for word in ("--host", "--port", *WORDS[program]):
        parser.add_argument(word)
    return parser.parse_args(sys.argv[2:])


def main() -> None:
    """Serve until told to end."""
    program = sys.argv[1]
    asked = arguments(program)
    if os.environ.get("STAND_IN_FAILS"):
        print("INFO loading\nRuntimeError: CUDA out of memory. Tried to allocate 3.1 GiB\nINFO bye")
        raise SystemExit(1)
    stubborn = STUBBORN if os.environ.get("STAND_IN_STUBBORN") else "import time; time.sleep(600)"
    worker = subprocess.Popen([sys.executable, "-c", stubborn])
    key = os.environ["VLLM_API_KEY" if program == "vllm" else "LLAMA_API_KEY"]
    notes = {"flags": vars(asked), "pids": [os.getpid(), worker.pid]}
    Path(os.environ["STAND_IN"]).write_text(json.dumps(notes))
    names = [asked.served_model_name] if program == "vllm" else [asked.alias]
    if program == "vllm" and asked.lora_modules:
        names.append(asked.lora_modules.partition("=")[0])
    server = ThreadingHTTPServer((asked.host, int(asked.port)), handler(names, key))
    print("ready soon", flush=True)
    server.serve_forever()


def handler(names: list[str], key: str) -> type[BaseHTTPRequestHandler]:
    """Return the handler of a server that is ready a moment from now."""
    ready = time.monotonic() + 0.3

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            return

        def do_GET(self) -> None:
            if self.path == "/health":
                self._say(200 if time.monotonic() > ready else 503, {})
            elif self._keyed():
                self._say(200, {"data": [{"id": name} for name in names]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(float(os.environ.get("STAND_IN_SLOW", "0")))
            if self._keyed():
                message = body["messages"][-1]
                text = f"{body['model']}: {message['content']}"
                begun = message["role"] == "assistant"
                if begun and not body["continue_final_message"]:
                    self._say(400, {"error": {"message": "the last message is an assistant's"}})
                choice = {"message": {"content": text}, "finish_reason": "stop"}
                self._say(200, {"choices": [choice], "usage": {"completion_tokens": 3}})

        def _keyed(self) -> bool:
            right = self.headers["Authorization"] == f"Bearer {key}"
            if not right:
                self._say(401, {"error": "Unauthorized"})
            return right

        def _say(self, status: int, value: object) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


if __name__ == "__main__":
    main()
