"""What keeps the cluster closed: the cluster key, and everything derived from it."""
