"""The turnout command, a file a subcommand."""
