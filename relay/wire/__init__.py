"""The wire: framing, the shared vocabulary, the Dialect protocol. No vendor is named here."""
