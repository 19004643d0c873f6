"""The console command `musicgpt`: one file a subcommand, imported only when it is asked for."""
