"""From a checkout to a running job: cluster, client, what is shipped, where it starts."""
