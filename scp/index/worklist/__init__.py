"""The worklist: its entries, their order and the search for them."""
