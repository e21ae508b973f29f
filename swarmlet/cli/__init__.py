"""The `swarmlet` command. It talks to the API of any peer, and only knows the API's schema."""
