"""The HTTP API that every peer serves, versioned under `/v1`. Answers come from this peer's memory.

`schema` is the contract (also for the command line); `views` derives answers from agreed and observed state;
`routes`, `events`, `logs`, `metrics` serve them; `problems` phrases every error once (RFC 9457).
"""
