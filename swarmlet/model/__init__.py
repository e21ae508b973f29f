"""What users declare and what the cluster stores. Pure values: no clock, no I/O, no imports from other packages."""
