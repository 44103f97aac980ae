"""Runs hostile programs under hard limits, isolated from the machine and from one another."""

from codefit.sandbox.codec import DecodeError, Opaque, TooLarge, decode, encode
from codefit.sandbox.sandbox import Sandbox, probe
from codefit.sandbox.types import Frame, Kind, Limits, OnFrame, ProbeResult, Program, Run

__all__ = [
    "DecodeError",
    "Frame",
    "Kind",
    "Limits",
    "OnFrame",
    "Opaque",
    "ProbeResult",
    "Program",
    "Run",
    "Sandbox",
    "TooLarge",
    "decode",
    "encode",
    "probe",
]
