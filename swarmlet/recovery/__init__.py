"""Recovery by people: backups, restoring them, going on with one survivor, giving up a damaged log.

`backup_file` is the format and knows nothing else of swarmlet; `restore` and `recover` work on the data directory of
an agent that does not run, and are wired to the command line by the commands that call them.
"""
