"""`scripts/simulate-gossip`: run profiles of the simulated cluster and print their figures; 1 when a bar is missed."""

import argparse
import gc
import sys
import time

from gossip_sim.figures import show
from gossip_sim.profiles import PROFILES


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate-gossip", description=__doc__)
    parser.add_argument("profiles", nargs="*", help=f"of {', '.join(PROFILES)}; all where none is given")
    parser.add_argument("--nodes", type=int, nargs="+", default=[3, 20, 100, 1000], help="cluster sizes, ascending")
    parser.add_argument("--minutes", type=float, default=2.0, help="virtual minutes of the steady and trouble profiles")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--parts", action="store_true", help="in the slow profile, each part of Lifeguard left away too"
    )
    given = parser.parse_args()
    unknown = set(given.profiles) - PROFILES.keys()
    if unknown:
        parser.error(f"no such profile: {', '.join(sorted(unknown))}; there are {', '.join(PROFILES)}")
    # Millions of small objects without cycles: looking through them again and again is half of the time.
    gc.disable()
    missed = False
    for name in given.profiles or PROFILES:
        started = time.monotonic()
        rows = PROFILES[name](sorted(given.nodes), given.seed, given.minutes, given.parts)
        show(rows)
        print(f"{name}: {time.monotonic() - started:.1f} s on this machine, seed {given.seed}\n", flush=True)
        missed = missed or any(row.met is False for row in rows)
        gc.collect()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
