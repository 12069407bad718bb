"""The one table, what was wanted of it, and the same as JSON."""

import json
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from side import Row, Side


@dataclass
class Figure:
    """A row at a number of connections, round by round."""

    side: Side
    row: Row
    connections: int
    rounds: list[dict] = field(default_factory=list)

    def rate(self, number: int) -> float:
        return (self.rounds[number]["answers"] - self.rounds[number]["refused"]) / self.rounds[number]["seconds"]

    def of(self, name: str) -> float:
        return median(one[name] for one in self.rounds)

    def rates(self) -> list[float]:
        return [self.rate(number) for number in range(len(self.rounds))]

    def bad(self) -> int:
        return sum(one["refused"] + one["failed"] for one in self.rounds)


def ratio(ours: Figure, theirs: Figure) -> float:
    """How many times as many a second we answer: the median of the rounds' own ratios."""
    return median(ours.rate(number) / theirs.rate(number) for number in range(len(theirs.rounds)))


def cpu_ratio(ours: Figure, theirs: Figure) -> float:
    """How many times as much CPU time their server takes for an answer: it moves less than rates where others use the
    machine too. Nothing of the load's own share and of waiting for the disk is in it."""
    rounds = zip(ours.rounds, theirs.rounds, strict=True)
    return median(their["cpu_us"] / max(our["cpu_us"], 0.1) for our, their in rounds)


class Report:
    """What came of a run."""

    def __init__(self, sides: list[Side], figures: list[Figure], syncs: dict[str, float | None], options: dict):
        self.sides, self.figures, self.syncs, self.options = sides, figures, syncs, options
        self.at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.ours = {(one.row.name, one.connections): one for one in figures if one.side is sides[0]}

    def ratios(self, figure: Figure, of=ratio) -> dict[str, float]:
        """To each of our rows that does the same, at the same number of connections."""
        return {name: of(self.ours[name, figure.connections], figure) for name in figure.row.against}

    def goals(self) -> list[tuple[str, float, float, bool]]:
        """What was wanted, what is, the bound, and whether it holds."""
        goals = []

        def times(what: str, side: str, row: str, against: str, wanted: float) -> None:
            for figure in self.figures:
                if figure.side.name == side and figure.row.name == row and figure.connections == 64:
                    found = self.ratios(figure)[against]
                    goals.append((what, found, wanted, found >= wanted))

        bao = "OpenBao, audit off"
        read, write = "GET a secret, audit off", "POST a new secret, audit off"
        times("list of 5 to OpenBao's read, audit off", bao, read, "list of 5", 6)
        times("single GET to OpenBao's read, audit off", bao, read, "single GET", 6)
        times("create, audited, to OpenBao's write, audit off", bao, write, "create, audited, on disk", 6)
        times("list of 5 to that of FastAPI and PostgreSQL", "FastAPI, PostgreSQL", "list of 5", "list of 5", 20)
        ours = self.sides[0]
        for side in self.sides:
            if side.name == bao:
                idle, loaded = ours.idle / side.idle, ours.loaded / side.loaded
                goals.append(("memory to OpenBao's, idle", idle, 1 / 6, idle <= 1 / 6))
                goals.append(("memory to OpenBao's, under load", loaded, 1 / 2, loaded <= 1 / 2))
        return goals

    def show(self) -> None:
        print(f"\n{self.at} · {machine()} · {self.options['rounds']} round(s) of {self.options['seconds']} s a row")
        print(
            "Medians of the rounds. × is how many times as many a second Strongroom's own row answers, within a round;"
        )
        print("by CPU: how many times as much CPU time an answer costs their server.\n")
        print(f"{'':<38}{'conns':>6}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'cpu µs':>8}  Strongroom is")
        for side in self.sides:
            print(f"\n{side.name}: {side.settings}")
            for figure in (one for one in self.figures if one.side is side):
                by_cpu = self.ratios(figure, cpu_ratio)
                ratios = self.ratios(figure).items()
                against = "; ".join(f"{found:.1f} ×, by CPU {by_cpu[name]:.1f} × ({name})" for name, found in ratios)
                bad = f"  {figure.bad()} ANSWERS WERE NOT RIGHT" if figure.bad() else ""
                line = f"  {figure.row.name:<36}{figure.connections:>6}{median(figure.rates()):>10,.0f}"
                line += f"{figure.of('p50_ms'):>9.2f}{figure.of('p99_ms'):>9.2f}{figure.of('cpu_us'):>8.0f}"
                print(f"{line}  {against}{bad}".rstrip())
        print(f"\n{'memory, MB (2^20)':<38}{'idle':>8}{'anonymous':>12}{'under load, at its most':>26}")
        for side in self.sides:
            print(f"  {side.name:<36}{side.idle:>8.1f}{side.idle_anonymous:>12.1f}{side.loaded:>26.1f}")
        print("\nsyncs of the disk by one write, alone (strace)")
        for name, count in self.syncs.items():
            print(f"  {name:<60}{'could not be looked at' if count is None else f'{count:.1f}'}")
        print("\ngoals: how many times as many a second at 64 connections, and the memory's part of theirs")
        for what, found, wanted, holds in self.goals():
            sign = "at least" if wanted >= 1 else "at most"
            print(f"  {what:<52}{found:>7.2f}  {sign} {wanted:.3g}: {'yes' if holds else 'NO'}")

    def keep(self, folder: Path) -> Path:
        file = folder / f"{self.at.replace(':', '')}-{self.options['name']}.json"
        figures = [
            {
                "side": one.side.name,
                "row": one.row.name,
                "connections": one.connections,
                "per_second": median(one.rates()),
                "p50_ms": one.of("p50_ms"),
                "p99_ms": one.of("p99_ms"),
                "cpu_us": one.of("cpu_us"),
                "strongroom_is_times": self.ratios(one),
                "strongroom_is_times_by_cpu": self.ratios(one, cpu_ratio),
                "rounds": one.rounds,
            }
            for one in self.figures
        ]
        sides = [
            {
                "name": side.name,
                "settings": side.settings,
                "idle_mb": side.idle,
                "idle_anonymous_mb": side.idle_anonymous,
                "loaded_mb": side.loaded,
            }
            for side in self.sides
        ]
        goals = [dict(zip(("what", "found", "wanted", "holds"), goal, strict=True)) for goal in self.goals()]
        whole = {"at": self.at, "machine": machine(), "options": self.options, "sides": sides, "figures": figures}
        file.write_text(json.dumps(whole | {"syncs": self.syncs, "goals": goals}, indent=1))
        return file


def machine() -> str:
    """Cores, processor and kernel, and how busy it was in the last minute."""
    text = Path("/proc/cpuinfo").read_text()
    models = [line.split(": ", 1)[1] for line in text.splitlines() if line.startswith("model name")]
    load = Path("/proc/loadavg").read_text().split()[0]
    return f"{len(models)} × {models[0] if models else '?'}, Linux {platform.release()}, load {load}"
