"""`python -m liveshelf`: the command, for supervisors that know Python but not where its scripts are."""

from liveshelf.main import main

main()
