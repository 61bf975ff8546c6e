"""What servers and indexes are filled with."""
