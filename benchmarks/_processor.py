"""The processor at hand: a name that says what it is, and a short one for files."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import NamedTuple

# Processors of a cloud often call themselves just "AMD EPYC", so family and model have to tell.
# From arch/x86/kernel/cpu/amd.c and arch/x86/include/asm/intel-family.h of Linux: vendor, family,
# models, name.
KNOWN = (
    ("AuthenticAMD", 23, (range(0x00, 0x30), range(0x50, 0x60)), "Zen"),
    ("AuthenticAMD", 23, (range(0x30, 0x50), range(0x60, 0x80), range(0x90, 0xB0)), "Zen 2"),
    ("AuthenticAMD", 25, (range(0x00, 0x10), range(0x20, 0x60)), "Zen 3"),
    ("AuthenticAMD", 25, (range(0x10, 0x20), range(0x60, 0xB0)), "Zen 4"),
    ("AuthenticAMD", 26, (range(0x00, 0x50), range(0x60, 0x80)), "Zen 5"),
    ("GenuineIntel", 6, ((0x3C, 0x3F, 0x45, 0x46),), "Haswell"),
    ("GenuineIntel", 6, ((0x3D, 0x47, 0x4F, 0x56),), "Broadwell"),
    ("GenuineIntel", 6, ((0x4E, 0x5E),), "Skylake"),
    ("GenuineIntel", 6, ((0x55,),), "Skylake-X or later"),  # also Cascade Lake and Cooper Lake
    ("GenuineIntel", 6, ((0x6A, 0x6C, 0x7D, 0x7E),), "Ice Lake"),
    ("GenuineIntel", 6, ((0x8C, 0x8D),), "Tiger Lake"),
    ("GenuineIntel", 6, ((0x97, 0x9A),), "Alder Lake"),
    ("GenuineIntel", 6, ((0xB7, 0xBA, 0xBF),), "Raptor Lake"),
    ("GenuineIntel", 6, ((0x8F,),), "Sapphire Rapids"),
    ("GenuineIntel", 6, ((0xCF,),), "Emerald Rapids"),
    ("GenuineIntel", 6, ((0xAD, 0xAE),), "Granite Rapids"),
)
VENDORS = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel"}


class Processor(NamedTuple):
    """A kind of processor.

    Attributes
    ----------
    name : str
        For readers: "AMD EPYC, Zen 4 (family 25, model 17)".
    slug : str
        For names of files: "amd-zen-4".
    """

    name: str
    slug: str


def describe(cpuinfo: str, otherwise: str = "unknown processor") -> Processor:
    """Return the processor that the text of /proc/cpuinfo describes.

    Parameters
    ----------
    cpuinfo : str
        Only the first processor in it counts.
    otherwise : str
        The name where the text gives none.
    """
    fields: dict[str, str] = {}
    for key, value in re.findall(r"^([^:\n]*?)[ \t]*:[ \t]*(.*?)[ \t]*$", cpuinfo, re.MULTILINE):
        fields.setdefault(key, value)
    model_name = re.sub(r"\((R|TM)\)| CPU| @.*", "", fields.get("model name", "")) or otherwise
    vendor = fields.get("vendor_id", "")
    family, model = (fields.get(key, "") for key in ("cpu family", "model"))
    if not (family.isdigit() and model.isdigit()):
        return Processor(model_name, slug(model_name))
    numbers = f"family {family}, model {model}"
    for known, its_family, models, architecture in KNOWN:
        if (known, its_family) == (vendor, int(family)) and any(int(model) in m for m in models):
            name = f"{model_name}, {architecture} ({numbers})"
            return Processor(name, slug(f"{VENDORS[vendor]} {architecture}"))
    return Processor(f"{model_name} ({numbers})", slug(f"{model_name} {numbers}"))


def slug(text: str) -> str:
    """Return a text in small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def processor() -> Processor:
    """Return the processor of this machine."""
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        cpuinfo = ""
    return describe(cpuinfo, platform.processor() or platform.machine())
