"""Virtual keys: the gateway's own credentials, what each may do, and where they are kept."""
