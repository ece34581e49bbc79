"""Reports over the ledger: what was spent and on what, what it saved, what is out of the ordinary, and exports of it."""
