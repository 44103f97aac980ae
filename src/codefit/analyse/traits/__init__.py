"""Traits of programs beyond passing: readability, security, efficiency, before against after."""

from codefit.analyse.traits.measure import GROUPS, measure_traits

__all__ = ["GROUPS", "measure_traits"]
