"""Runs hostile programs under hard limits, isolated from the machine and from one another."""

from codefit.sandbox.codec import DecodeError, Digest, Opaque, TooLarge, decode, encode
from codefit.sandbox.sandbox import Sandbox, probe
from codefit.sandbox.types import Frame, Kind, Limits, OnFrame, ProbeResult, Program, Run, Runtime

__all__ = [
    "DecodeError",
    "Digest",
    "Frame",
    "Kind",
    "Limits",
    "OnFrame",
    "Opaque",
    "ProbeResult",
    "Program",
    "Run",
    "Runtime",
    "Sandbox",
    "TooLarge",
    "decode",
    "encode",
    "probe",
]
