"""The command `liveshelf`: one file a verb. This is the one place where the rooms meet."""
