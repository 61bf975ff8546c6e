"""Two galleries of drawn pictures to try the search on: faces and things for sale."""
