"""The tables of the settings, and what their values may be: addresses, names, files with secrets."""
