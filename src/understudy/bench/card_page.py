"""The page that tells what was measured on one card.

Figures as JSON values in, Markdown out.
"""

from collections.abc import Mapping
from typing import Any  # JSON values

BANK_SHARE_MAX = 0.05
"""What making batches may take of a step."""

_PARTS = ("bank", "forward", "backward", "exchange", "optimizer")
Row = Mapping[str, Any]


def page(found: Row) -> str:
    """Markdown with the settings, the tables and what limits each model."""
    lines = [
        f"# Measured on {found['card']}",
        "",
        f"{found['date']}, torch {found['torch']}, CUDA or ROCm {found['cuda']}, cuDNN "
        f"{found['cudnn']}. Each figure is the best of {found['repeats']} runs of about "
        f"{found['seconds']:g} s. Repeat with `python -m understudy.bench.card`.",
        "",
        "A sample is one face of each side. The peak is the card's for dense bfloat16, stated by "
        "its maker or else a matrix product measured here.",
        "",
        "| model | batch | samples/s | iteration | TFLOP/s | share of peak | memory | bank |",
        "|---|---|---|---|---|---|---|---|",
    ]
    cases: dict[str, Row] = found["cases"]
    lines += [_speed(name, case["ours"]) for name, case in cases.items()]
    lines += ["", "Where the time of an iteration goes:", ""]
    lines += [f"| model | {' | '.join(_PARTS)} |", "|---" * (len(_PARTS) + 1) + "|"]
    lines += [_split(name, case["ours"]) for name, case in cases.items()]
    lines += [
        "",
        "The same networks, losses and batches as a straight port trains them: float32, planes, "
        "torch's own Adam (convolutions in TF32: "
        f"{'yes' if found['tf32_in_reference'] else 'no'}):",
        "",
        "| model | samples/s | ours is faster by | memory |",
        "|---|---|---|---|",
    ]
    lines += [_reference(name, case) for name, case in cases.items()]
    lines += ["", "Share of an iteration that making batches takes:", ""]
    lines += ["| model | faces on the card | with sot colours | faces in host memory |"]
    lines += ["|---|---|---|---|", *(_banks(name, case) for name, case in cases.items())]
    lines += ["", "What limits each, the longest kernels first:", ""]
    lines += [_kernels(name, case["kernels"]) for name, case in cases.items()]
    if found["scaling"]:
        lines += ["", "| cards | samples/s | efficiency | exchange |", "|---|---|---|---|"]
        lines += [_scaling(row) for row in found["scaling"]]
    slow = [name for name, case in cases.items() if _bank(case["ours"]) > BANK_SHARE_MAX]
    verdict = f"above it: {', '.join(slow)}" if slow else "all are below it"
    lines += ["", f"Making batches may take {BANK_SHARE_MAX:.0%} of an iteration: {verdict}."]
    return "\n".join(lines) + "\n"


def _speed(name: str, row: Row) -> str:
    if "does_not_fit" in row:
        return f"| {name} | | does not fit | | | | | |"
    batch = row["settings"]["options"]["batch_size"]
    time = 1000 * row["wall_seconds"] / row["items"]
    share = f"{row['share_of_peak']:.0%}" if "share_of_peak" in row else ""
    memory = f"{row['device_memory_mb'] / 1024:.1f} GB" if "device_memory_mb" in row else ""
    return (
        f"| {name} | {batch} | {row['samples_per_second']:g} | {time:.1f} ms | {row['tflops']:g} "
        f"| {share} | {memory} | {_bank(row):.1%} |"
    )


def _split(name: str, row: Row) -> str:
    shares = row.get("share_of", {})
    return f"| {name} | {' | '.join(_percent(shares.get(part)) for part in _PARTS)} |"


def _reference(name: str, case: Row) -> str:
    row = case["reference"]
    if "does_not_fit" in row:
        return f"| {name} | does not fit | | |"
    memory = f"{row['device_memory_mb'] / 1024:.1f} GB" if "device_memory_mb" in row else ""
    ratio = case.get("ratio_to_reference", "")
    return f"| {name} | {row['samples_per_second']:g} | {ratio} | {memory} |"


def _banks(name: str, case: Row) -> str:
    kinds = ("ours", "sot", "faces in host memory")
    return f"| {name} | {' | '.join(_percent(_bank(case[kind])) for kind in kinds)} |"


def _kernels(name: str, row: Row) -> str:
    if "does_not_fit" in row:
        return f"* {name}: does not fit"
    return f"* {name}: " + ", ".join(f"`{kernel}` {share:.0%}" for kernel, share in row.items())


def _scaling(row: Row) -> str:
    if "failed" in row:
        return f"| {row['processes']} | failed: {' '.join(row['failed'])} | | |"
    exchange = _percent(row["share_of"].get("exchange"))
    rate, efficiency = row["samples_per_second"], row["efficiency"]
    return f"| {row['processes']} | {rate:g} | {efficiency:.0%} | {exchange} |"


def _bank(row: Row) -> float:
    return float(row.get("share_of", {}).get("bank", 0.0))


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
