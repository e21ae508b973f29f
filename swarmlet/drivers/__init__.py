"""The shells that make this peer a part of its cluster: they drive the Raft and gossip cores and the controllers.

`consensus` carries out what the Raft core says and applies the log to the store; `membership` does the same for
gossip and keeps the observed state; `replica` is the desired state, typed; `leadership` runs the controllers while
this peer leads; `formation` makes a new cluster out of nodes that have none.
"""
