"""`codefit doctor`: what this machine can do, and the line that fixes what it can't."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib import metadata

import click

from codefit.cli import show
from codefit.core.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `ok` None means "not needed, but good to have"."""

    name: str
    ok: bool | None
    detail: str
    fix: str | None = None


def _extra(module: str, install: str, needed: bool = True) -> Finding:
    if importlib.util.find_spec(module) is None:
        return Finding(module, False if needed else None, "not installed", install)
    return Finding(module, True, metadata.version(module))


def _gpu() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("GPU", None, "unknown without torch")
    import torch

    if not torch.cuda.is_available():
        return Finding("GPU", None, "none that torch can use: tuning of real models is out, the demo is not")
    free, total = torch.cuda.mem_get_info()
    return Finding(
        "GPU", True, f"{torch.cuda.get_device_name()}: {free / 2**20:,.0f} of {total / 2**20:,.0f} MiB free"
    )


def _environment(name: str) -> Finding:
    from codefit.core.errors import CodefitError
    from codefit.suites.environment import default_folder, find

    folder = default_folder(name, show.cache_folder())
    try:
        return Finding(f"libraries of {name}", True, find(name, None, show.cache_folder()).fingerprint)
    except CodefitError:
        return Finding(f"libraries of {name}", None, f"not in {folder}", f"codefit env create {name}")


def _hub() -> Finding:
    """Return whether the hub, or the mirror that HF_ENDPOINT names, answers; one request of at most 5 seconds."""
    from codefit.core.errors import CodefitError
    from codefit.hub.client import Hub
    from codefit.hub.doctor import answers, kept

    try:
        hub = Hub.from_environment()
    except CodefitError as e:
        return Finding("hub", None, e.line(), e.todo)
    place = f"{kept(hub)} in {hub.cache}"
    token = "a token is set" if hub.token else "no token"
    if hub.offline:
        return Finding(
            "hub", None, f"switched off by HF_HUB_OFFLINE; {place}", "unset HF_HUB_OFFLINE to download"
        )
    if importlib.util.find_spec("huggingface_hub") is None:
        return Finding("hub", None, "huggingface_hub is not installed", "pip install 'codefit[hub]'")
    fault, seconds = answers(hub)
    if fault:
        fix = "set HF_ENDPOINT to a mirror, or work with local files"
        return Finding("hub", None, f"{hub.endpoint}: {fault}; {place}", fix)
    return Finding("hub", True, f"{hub.endpoint} answers in {seconds:.1f} s, {token}; {place}")


def _program(title: str, variable: str, default: str) -> Finding:
    from codefit.generate.server import find_command

    command = find_command(None, variable, default, os.environ)[0]
    found = shutil.which(command)
    fix = None if found else f"install it, or export {variable}=/path/to/{default}"
    return Finding(title, True if found else None, found or f"no {command} on PATH", fix)


def _endpoint(base_url: str, api_key_env: str | None) -> Finding:
    """Return whether an endpoint lists its models; nothing is generated."""
    from codefit.core.errors import CodefitError
    from codefit.generate.openai import listed_models

    try:
        models = listed_models(base_url, api_key_env, os.environ)
    except CodefitError as e:
        return Finding("endpoint", False, e.line())
    shown = ", ".join(models[:5]) + (", …" if len(models) > 5 else "")
    return Finding("endpoint", True, f"{base_url}: {len(models)} models: {shown}")


def _machine() -> Finding:
    detail = f"{platform.platform()}, {os.cpu_count()} cores"
    if sys.platform != "win32":
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        detail += f", {memory:.1f} GiB of memory"
    return Finding("machine", True, detail)


def findings(base_url: str | None = None, api_key_env: str | None = None) -> list[Finding]:
    """Return every check, that of an endpoint where one is given."""
    from codefit.sandbox import probe

    disk = shutil.disk_usage(".")
    enough = disk.free > 2 * 2**30
    probes = probe()
    usable = any(p.ok for p in probes)
    return [
        Finding("Python", True, platform.python_version()),
        _machine(),
        Finding("disk", enough, f"{disk.free / 2**30:.1f} GiB free here", None if enough else "free 2 GiB"),
        *(
            Finding(f"sandbox: {p.name}", p.ok if p.ok or not usable else None, p.detail, p.fix)
            for p in probes
        ),
        _extra("torch", "pip install torch"),
        _extra("transformers", "pip install 'codefit[train]'"),
        _extra("peft", "pip install 'codefit[train]'"),
        _extra("trl", "pip install 'codefit[trl]'", needed=False),
        _extra("matplotlib", "pip install 'codefit[report]'", needed=False),
        _gpu(),
        _hub(),
        _environment("bigcodebench"),
        _program("vLLM", "CODEFIT_VLLM", "vllm"),
        _program("llama.cpp's server", "CODEFIT_LLAMA_SERVER", "llama-server"),
        *([_endpoint(base_url, api_key_env)] if base_url else []),
    ]


@click.command()
@click.option("--base-url", metavar="URL", help="Check an OpenAI-compatible endpoint too.")
@click.option("--api-key-env", metavar="NAME", help="Environment variable that holds the endpoint's key.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def doctor(base_url: str | None, api_key_env: str | None, as_json: bool) -> None:
    """Check this machine; exit 3 if something that the demo needs is missing."""
    found = findings(base_url, api_key_env)
    if as_json:
        show.print_json([asdict(f) for f in found])
    else:
        for f in found:
            mark = {True: "ok  ", False: "MISS", None: "-   "}[f.ok]
            fix = f"  -> {f.fix}" if f.fix and not f.ok else ""
            click.echo(f"{mark} {f.name}: {f.detail}{fix}")
    if any(f.ok is False for f in found):
        raise SystemExit(ExitCode.PREREQUISITE)
