"""What ours is compared with: the bare parts, and other services."""
