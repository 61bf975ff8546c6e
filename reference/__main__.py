"""`python -m reference`: writes docs/api.md and docs/rpc.md."""

from __future__ import annotations

from reference.contract import contract_page
from reference.descriptors import described
from reference.library import library_page
from reference.pages import API, RPC

API.write_text(library_page(), encoding="utf-8")
RPC.write_text(contract_page(described()), encoding="utf-8")
