"""The gallery page: a web application that talks to the service through `AsyncClient` alone."""
