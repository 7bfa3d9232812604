"""The tables of `serving.py`: what was measured, the ratios, and the goals beside them."""

from collections.abc import Sequence
from typing import Any

from serving_measure import Measured, percentile

_THROUGHPUT = {"litserve": 1.3, "one": 1.5}  # goals: ours over the better of these
_TAIL = 0.8  # goal: our p99 over LitServe's at the same rate
_RECOVERY = 2  # goal: seconds after an overload


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints aligned columns."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(f"\n{title}")
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def milliseconds(seconds: float) -> str:
    """Seconds, printed as milliseconds."""
    return f"{1e3 * seconds:.1f}"


def megabytes(size: float) -> str:
    """Bytes, printed as megabytes."""
    return f"{size / 1e6:.0f}"


def goal(name: str, value: float, bound: float, less: bool = False) -> None:
    """Prints a figure with its goal and whether it is reached."""
    reached = value <= bound if less else value >= bound
    print(f"{name}: {value:.2f} (goal: {'<=' if less else '>='} {bound}) {'reached' if reached else 'NOT reached'}")


def best(values: dict[str, float], name: str, lowest: bool = False) -> str | None:
    """Which of the servers of that name has the best value; None where none was measured."""
    own = {server: value for server, value in values.items() if server.startswith(f"{name}-")}
    return (min if lowest else max)(own, key=own.__getitem__) if own else None


def closed(results: dict[str, dict[int, Measured]]) -> None:
    """Prints what `serving_parts.closed` gave."""
    rows = []
    levels = list(next(iter(results.values())))
    for connections in levels:
        for name, by_connections in results.items():
            m = by_connections[connections]
            spread = f"{min(m.rates):.1f}..{max(m.rates):.1f}"
            tail = [milliseconds(percentile(m.latencies, share)) for share in (0.5, 0.99)]
            counts = [name, connections, len(m.latencies), f"{m.images_per_second:.1f}", spread]
            rows.append([*counts, *tail, m.errors(), f"{max(m.cpu):.1%}"])
    header = "server|connections|answered|images/s|of rounds|median ms|p99 ms|errors|load generator's core"
    table("closed loop: each connection sends an image once the last is answered", header.split("|"), rows)
    connections = max(levels)
    rates = {name: own[connections].images_per_second for name, own in results.items()}
    print()
    for name, rate in rates.items():
        for peer, bound in _THROUGHPUT.items():
            if name.startswith("ours") and (other := best(rates, peer)) and rates[other]:
                goal(f"images/s at {connections} connections, {name} / {other}", rate / rates[other], bound)


def agreement(classes: dict[str, list[int]]) -> None:
    """Prints of how many images the servers say the same."""
    first, *others = classes
    for other in others:
        same = sum(a == b for a, b in zip(classes[first], classes[other], strict=True))
        print(f"likeliest class the same by {first} and {other}: {same} of {len(classes[first])} images")


def open_loop(results: dict[str, dict[str, Any]]) -> None:
    """Prints what `serving_parts.open_loop` gave."""
    rows = []
    for kind in ("common", "own"):
        for name, own in results.items():
            m = own[kind]
            tail = [milliseconds(percentile(m.latencies, share)) for share in (0.5, 0.99)]
            late = milliseconds(percentile(m.late, 0.99))
            rate = f"{own['rates'][kind]:.1f} ({kind})"
            rows.append([name, rate, len(m.latencies), *tail, m.errors(), late, f"{max(m.cpu):.1%}"])
    header = "server|images/s|answered|median ms|p99 ms|errors|p99 ms of sending late|load generator's core"
    table("open loop: random arrivals, latencies from when an image was due", header.split("|"), rows)
    tails = {name: percentile(own["common"].latencies, 0.99) for name, own in results.items()}
    other = best(tails, "litserve", lowest=True)
    print()
    for name, own_tail in tails.items():
        if name.startswith("ours") and other:
            goal(f"p99 at the common rate, {name} / {other}", own_tail / tails[other], _TAIL, less=True)


def overload(results: dict[str, dict[str, Any]]) -> None:
    """Prints what `serving_parts.overload` gave."""
    rows = []
    for name, own in results.items():
        sent, outcomes = sum(own["outcomes"].values()), own["outcomes"]
        refused = [milliseconds(own[key]) for key in ("refused_median", "refused_p99")]
        sizes = [megabytes(own[key]) for key in ("memory_before", "memory_most", "memory_after")]
        others = {outcome: n for outcome, n in outcomes.items() if outcome not in ("200", "429")} or "none"
        counts = [sent, outcomes.get("200", 0), outcomes.get("429", 0), own["without_retry_after"], others]
        tail = [milliseconds(own["median"]), milliseconds(own["p99"])]
        rows.append([name, f"{own['rate']:.0f}", *counts, *refused, *tail, " ".join(sizes), f"{own['load_cpu']:.1%}"])
    header = "server|images/s|sent|200|429|of these no Retry-After|others|429: median ms|429: p99 ms|200: median ms"
    more = "200: p99 ms|MB before, most, after|load generator's core"
    table("overload: three times what the server can take", f"{header}|{more}".split("|"), rows)
    print()
    for name, own in results.items():
        usual = f"as fast again as before ({milliseconds(own['usual'])} ms)"
        if not own["recovered"]:
            print(f"{name}: a single image is not {usual} {own['recovery']:.0f} s after the overload")
        elif name.startswith("ours"):
            goal(f"{name}: seconds until a single image is {usual}", own["recovery"], _RECOVERY, less=True)
        else:
            print(f"{name}: {own['recovery']:.2f} seconds until a single image is {usual}")


def soak(results: dict[str, dict[str, Any]]) -> None:
    """Prints what `serving_parts.soak` gave."""
    rows = []
    for name, own in results.items():
        sizes = [megabytes(own["memory_tenth"]), megabytes(own["memory_end"]), f"{own['growth']:+.2%}"]
        others = {outcome: n for outcome, n in own["outcomes"].items() if outcome != "200"} or "none"
        counts = [own["outcomes"].get("200", 0), f"{own['seconds']:.0f}", f"{own['images_per_second']:.1f}"]
        rows.append([name, *counts, others, *sizes])
    header = "server|answered|seconds|images/s|errors|MB at a tenth|MB at the end|growth"
    table("soak", header.split("|"), rows)


def start(results: dict[str, dict[str, list[float]]]) -> None:
    """Prints what `serving_parts.start` gave."""
    rows = [
        [name, *(" ".join(f"{s:.1f}" for s in own[kind]) for kind in ("cold", "warm"))] for name, own in results.items()
    ]
    table("seconds from a process's start until it is ready", ("server", "empty compile cache", "filled"), rows)


def lossless(results: dict[str, dict[str, Any]]) -> None:
    """Prints what `serving_parts.lossless` gave."""
    for name, own in results.items():
        reloads = ", ".join(f"{each['status']} in {each['seconds']:.1f} s" for each in own["reloads"])
        tail = f"p99 {milliseconds(own['p99_until_told'])} ms, slowest {milliseconds(own['slowest_until_told'])} ms"
        print(f"\nlossless, {name}: 16 connections; reloads: {reloads}")
        print(f"until SIGTERM: {own['until_told']}, {tail}")
        print(f"after it: {own['after_told']}; exit status {own['exit_status']} after {own['exit_seconds']:.1f} s")
        print(f"answers 429 or 503 without Retry-After: {own['without_retry_after']}")
        goal(f"{name}: requests lost", own["lost"], 0, less=True)
