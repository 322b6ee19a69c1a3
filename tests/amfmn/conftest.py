from test_cli import call, refused  # noqa: F401 - the command line in this process
