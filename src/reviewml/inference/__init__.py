"""The transformer engine that enrichers share: tokenise once, pack by tokens, run, restore order.

Only here may torch and transformers be imported.
"""
