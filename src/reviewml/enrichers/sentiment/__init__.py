"""Sentiment, learned from the ratings of the reviews themselves."""
