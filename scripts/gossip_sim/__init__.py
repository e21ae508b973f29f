"""Gossip cores in virtual time: the network, and the profiles that `scripts/simulate-gossip` measures."""
