"""How load is put on a server, and what is watched meanwhile."""
