"""Several swarmlet hosts on one machine, made for a demo, a test or a benchmark, and gone without a trace after it.

`hosts` makes network namespaces with a Podman of their own (root), or loopback addresses with plain processes
(anybody); `image` makes the demo's image; `cluster` runs an agent on each host and asks it things.
"""
