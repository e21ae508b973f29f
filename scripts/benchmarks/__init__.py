"""Benchmarks: swarmlet beside a real peer, interleaved in one run, as ratios. They write JSON; no test runs them."""
